import { describe, expect, test } from "bun:test";
import { createGuard } from "../../src/wire/guard.ts";

const ask = (headers: Record<string, string>) =>
  new Request("http://localhost:9020/", { headers: { host: "localhost:9020", ...headers } });

describe("the guard", () => {
  const guard = createGuard({
    token: "right",
    allowedOrigins: ["https://allowed.example"],
    host: "127.0.0.1",
    allowedHosts: [],
  });
  const bearer = { authorization: "Bearer right" };

  test("passes a request with the token, with or without an allowed Origin", () => {
    expect(guard(ask(bearer))).toBeUndefined();
    expect(guard(ask({ ...bearer, origin: "https://allowed.example" }))).toBeUndefined();
  });

  test("refuses a foreign Origin even on an open route and with the token", () => {
    for (const origin of ["https://evil.example", "null", "http://localhost:9021", "https://allowed.example.evil"]) {
      expect(guard(ask({ ...bearer, origin }), { open: true })?.status).toBe(403);
    }
  });

  test("passes a request of a page of its own: the Origin is the Host, under a known name", () => {
    const page = (origin: string, host: string) => guard(ask({ ...bearer, origin, host }))?.status;
    expect(page("http://localhost:9020", "localhost:9020")).toBeUndefined();
    expect(page("https://localhost:9020", "LOCALHOST:9020")).toBeUndefined();
    expect(page("http://[::1]:9020", "[::1]:9020")).toBeUndefined();
    for (const [origin, host] of [
      ["http://localhost:9020", "127.0.0.1:9020"],
      ["http://localhost", "localhost:9020"],
      ["http://localhost:9020.evil.example", "localhost:9020"],
      ["ftp://localhost:9020", "localhost:9020"],
      // A domain that an attacker made resolve to this machine.
      ["http://evil.example:9020", "evil.example:9020"],
    ] as const)
      expect(page(origin, host)).toBe(403);
    // Beyond loopback, with a token, any Host may be asked for, but not by its own pages.
    const open = createGuard({ token: "right", allowedOrigins: [], host: "0.0.0.0", allowedHosts: ["dewey.example"] });
    const from = (name: string) => open(ask({ ...bearer, origin: `https://${name}`, host: name }))?.status;
    expect([from("dewey.example"), from("evil.example")]).toEqual([undefined, 403]);
  });

  test("refuses a Host that is not this machine", () => {
    for (const host of ["evil.example", "evil.example:9020", "127.0.0.1.evil.example", "localhost."]) {
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

  test("refuses what another site's page asks for, on an open route and with the token too, if its Origin is not allowed", () => {
    for (const site of ["cross-site", "same-site", "Cross-Site", "none, cross-site"]) {
      const headers = { ...bearer, "sec-fetch-site": site };
      expect([site, guard(ask(headers), { open: true })?.status]).toEqual([site, 403]);
      expect(guard(ask({ ...headers, origin: "https://allowed.example" }))).toBeUndefined();
    }
    for (const site of ["none", "same-origin"])
      expect(guard(ask({ ...bearer, "sec-fetch-site": site }))).toBeUndefined();
  });

  test("refuses a Host that is no host as a bad request; an open route may be asked for without one", () => {
    for (const host of [
      "evil@localhost",
      "local host",
      "localhost/x",
      "a, b",
      "[::1",
      "localhost:x",
      "http://localhost",
    ])
      expect([host, guard(ask({ ...bearer, host }), { open: true })?.status]).toEqual([host, 400]);
    expect(guard(ask({ ...bearer, host: "" }))?.status).toBe(400);
    expect(guard(ask({ host: "" }), { open: true })).toBeUndefined();
  });

  test("lets a preflight of an allowed Origin pass without the token, and no other", () => {
    const preflight = (headers: Record<string, string>, method = "OPTIONS") =>
      guard(
        new Request("http://localhost/", {
          method,
          headers: { host: "localhost", "access-control-request-method": "POST", ...headers },
        }),
      )?.status;
    expect(preflight({ origin: "https://allowed.example" })).toBeUndefined();
    expect(preflight({ origin: "https://evil.example" })).toBe(403);
    expect(preflight({})).toBe(401);
    expect(preflight({ origin: "https://allowed.example" }, "POST")).toBe(401);
  });
});

describe("the Host", () => {
  const passes = (options: { host: string; token?: string; allowedHosts?: string[] }, host: string) =>
    createGuard({ allowedOrigins: [], allowedHosts: [], ...options })(
      ask({ host, ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }) }),
    ) === undefined;

  test("without a token is a name that was given, or this machine's, wherever the port listens", () => {
    const open = { host: "0.0.0.0", allowedHosts: ["Dewey.Example", "fd00::1"] };
    for (const host of ["dewey.example", "DEWEY.example:9020", "[fd00::1]:9020", "localhost", "0.0.0.0:9020"])
      expect([host, passes(open, host)]).toEqual([host, true]);
    for (const host of ["evil.example", "dewey.example.evil", "192.168.0.7", "[fd00::2]"])
      expect([host, passes(open, host)]).toEqual([host, false]);
    expect(passes({ host: "192.168.0.7" }, "192.168.0.7:9020")).toBe(true);
    expect(passes({ host: "fd00::7" }, "[fd00::7]:9020")).toBe(true);
  });

  test("on loopback may be the address that is listened on, and an allowed name, token or not", () => {
    expect(passes({ host: "127.0.0.2" }, "127.0.0.2:9020")).toBe(true);
    expect(passes({ host: "127.0.0.1", allowedHosts: ["dewey.example"] }, "dewey.example")).toBe(true);
    expect(passes({ host: "127.0.0.1", token: "right" }, "dewey.example")).toBe(false);
  });

  test("does not matter beyond loopback where a token is required", () => {
    expect(passes({ host: "0.0.0.0", token: "right" }, "dewey.example")).toBe(true);
  });
});
