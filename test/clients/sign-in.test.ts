import { afterAll, describe, expect, test } from "bun:test";
import { signInProblem } from "../../src/clients/sign-in.ts";

const asked: string[] = [];
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch(request) {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    return new Response(null, { status: Number(pathname.slice(1)) });
  },
});
afterAll(() => server.stop(true));

const at = (status: number) => `http://127.0.0.1:${server.port}/${status}`;

describe("a remote server", () => {
  test("stays direct when it refuses a request without a token", async () => {
    for (const status of [401, 403]) {
      expect(await signInProblem({ url: at(status) })).toBe("signs in by OAuth, which only the client itself can do");
    }
    for (const status of [200, 400, 405, 500]) expect(await signInProblem({ url: at(status) })).toBeUndefined();
    expect(await signInProblem({ httpUrl: at(401) })).toBeDefined();
  });

  test("is not asked when its entry has an authorization, or an address that only the client can complete", async () => {
    asked.length = 0;
    for (const name of ["Authorization", "x-api-key"]) {
      expect(await signInProblem({ url: at(401), headers: { [name]: "secret" } })).toBeUndefined();
    }
    for (const url of [`${at(401)}/\${KEY}`, "ws://127.0.0.1:1/"]) expect(await signInProblem({ url })).toBeUndefined();
    expect(asked).toEqual([]);
  });

  test("stays direct while it does not answer", async () => {
    expect(await signInProblem({ url: "http://127.0.0.1:1/" })).toStartWith("does not answer");
  });
});
