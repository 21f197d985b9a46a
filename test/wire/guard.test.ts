import { describe, expect, test } from "bun:test";
import { createGuard, isLoopback } from "../../src/wire/guard.ts";

const ask = (headers: Record<string, string>) =>
  new Request("http://localhost:9020/", { headers: { host: "localhost:9020", ...headers } });

describe("the guard", () => {
  const guard = createGuard({ token: "right", allowedOrigins: ["https://allowed.example"], loopback: true });
  const bearer = { authorization: "Bearer right" };

  test("passes a request with the token, with or without an allowed Origin", () => {
    expect(guard(ask(bearer))).toBeUndefined();
    expect(guard(ask({ ...bearer, origin: "https://allowed.example" }))).toBeUndefined();
  });

  test("refuses a foreign Origin even on an open route and with the token", () => {
    for (const origin of ["https://evil.example", "null", "http://localhost:9020", "https://allowed.example.evil"]) {
      expect(guard(ask({ ...bearer, origin }), { open: true })?.status).toBe(403);
    }
  });

  test("refuses a Host that is not this machine", () => {
    for (const host of ["evil.example", "evil.example:9020", "127.0.0.1.evil.example", ""]) {
      expect(guard(ask({ ...bearer, host }), { open: true })?.status).toBe(403);
    }
    for (const host of ["localhost", "127.0.0.1:9020", "[::1]:9020", "LOCALHOST:1"]) {
      expect(guard(ask({ ...bearer, host }))).toBeUndefined();
    }
  });

  test("refuses a missing, wrong, longer or differently sent token, and says how to send it", () => {
    for (const authorization of [
      undefined,
      "Bearer wrong",
      "Bearer right ",
      "Bearer righter",
      "Basic right",
      "right",
      "Bearer",
    ]) {
      const answer = guard(ask(authorization === undefined ? {} : { authorization }));
      if (authorization === "Bearer right ") expect(answer).toBeUndefined();
      else expect([answer?.status, answer?.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
    }
  });

  test("requires no token on an open route", () => {
    expect(guard(ask({}), { open: true })).toBeUndefined();
  });

  test("ignores the Host beyond loopback, where it cannot know the machine's names", () => {
    expect(createGuard({ allowedOrigins: [], loopback: false })(ask({ host: "dewey.example" }))).toBeUndefined();
  });
});

test("loopback is recognised by name and by number", () => {
  expect(["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"].every(isLoopback)).toBe(true);
  expect(["0.0.0.0", "::", "192.168.0.1", "127.example.org", "example.org"].some(isLoopback)).toBe(false);
});
