import { describe, expect, test } from "bun:test";
import { isProxied, unproxied, withDewey, withProxy, withoutProxy } from "../../src/clients/mcp-servers.ts";
import type { Servers } from "../../src/clients/mcp-servers.ts";

const program = { command: ["/opt/dewey"], flags: ["--url", "ws://localhost:1"], spoolFlags: ["--spool-dir", "/s"] };
const all = () => true;
const noProblem = () => Promise.resolve(undefined);

const servers: Servers = {
  stdio: { command: "npx", args: ["-y", "server", "--", "x"], env: { KEY: "v" }, timeout: 5 },
  bare: { type: "stdio", command: "serve" },
  http: { type: "http", url: "https://example.org/mcp", headers: { Authorization: "Bearer ${T}" } },
  ws: { type: "ws", url: "ws://localhost:7/" },
};

describe("servers behind the proxy", () => {
  test("are started through it, with the other fields of their entries", async () => {
    const done = await withProxy(servers, program, all, noProblem);
    const flags = ["--url", "ws://localhost:1", "--spool-dir", "/s"];
    expect(done.servers).toEqual({
      stdio: {
        command: "/opt/dewey",
        args: ["proxy", "--stdio", "--name", "stdio", ...flags, "--", "npx", "-y", "server", "--", "x"],
        env: { KEY: "v" },
        timeout: 5,
      },
      bare: {
        type: "stdio",
        command: "/opt/dewey",
        args: ["proxy", "--stdio", "--name", "bare", ...flags, "--", "serve"],
      },
      http: {
        command: "/opt/dewey",
        args: ["proxy", "--stdio", "--name", "http", ...flags],
        env: {
          DEWEY_UPSTREAM_URL: "https://example.org/mcp",
          DEWEY_UPSTREAM_HEADERS: '{"Authorization":"Bearer ${T}"}',
        },
      },
      ws: {
        command: "/opt/dewey",
        args: ["proxy", "--stdio", "--name", "ws", ...flags],
        env: { DEWEY_UPSTREAM_URL: "ws://localhost:7/" },
      },
    });
    expect(done.proxied).toEqual(["stdio", "bare", "http", "ws"]);
  });

  test("stay the same when connected again, and are restored when disconnected", async () => {
    const once = withDewey((await withProxy(servers, program, all, noProblem)).servers, program);
    const twice = withDewey((await withProxy(once, program, all, noProblem)).servers, program);
    expect(twice).toEqual(once);
    expect(withoutProxy(once, {}, program)).toEqual(servers);
    // Another Dewey's entries are rewritten for this one.
    const moved = { ...program, command: ["/elsewhere/dewey"] };
    expect(JSON.stringify((await withProxy(once, moved, all, noProblem)).servers["http"])).toContain(
      "/elsewhere/dewey",
    );
  });

  test("have no part of their address on the command line, where everybody on the machine sees it", async () => {
    const keyed = {
      query: { type: "http", url: "https://example.org/mcp?api_key=s3cret" },
      user: { type: "http", url: "https://me:s3cret@example.org/mcp", env: { OTHER: "v" } },
      path: { type: "ws", url: "wss://example.org/s/s3cret/mcp" },
      gemini: { httpUrl: "https://example.org/#s3cret" },
    };
    const done = await withProxy(keyed, program, all, noProblem);
    expect(done.proxied).toEqual(Object.keys(keyed));
    for (const entry of Object.values(done.servers) as { command: string; args: string[] }[])
      expect([entry.command, ...entry.args].join(" ")).not.toContain("s3cret");
    expect(withoutProxy(done.servers, keyed, program)).toEqual(keyed);
  });

  test("that an earlier Dewey has put behind the proxy, with the address on the command line, are known", async () => {
    const args = ["proxy", "--stdio", "--name", "old", "https://example.org/mcp?api_key=s3cret"];
    const old = { old: { command: "/opt/dewey", args } };
    const before = { old: { type: "http", url: "https://example.org/mcp?api_key=s3cret" } };
    expect(withoutProxy(old, {}, program)).toEqual(before);
    const { servers: now } = await withProxy(old, program, all, noProblem);
    expect(now).toEqual((await withProxy(before, program, all, noProblem)).servers);
  });

  test("are restored exactly as in the backup if it is equivalent", async () => {
    const gemini = { httpUrl: "https://example.org/mcp", trust: true };
    const { servers: changed } = await withProxy({ g: gemini }, program, all, noProblem);
    expect(withoutProxy(changed, { g: gemini }, program)).toEqual({ g: gemini });
    expect(withoutProxy(changed, {}, program)).toEqual({
      g: { type: "http", url: "https://example.org/mcp", trust: true },
    });
  });

  test("keep the environment of a remote server beside its headers", async () => {
    const entry = { type: "http", url: "https://example.org/mcp", headers: { "x-key": "k" }, env: { LANG: "de" } };
    const done = await withProxy({ remote: entry }, program, all, noProblem);
    expect(done.servers).toMatchObject({
      remote: { env: { LANG: "de", DEWEY_UPSTREAM_HEADERS: '{"x-key":"k"}' } },
    });
    expect(withoutProxy(done.servers, {}, program)).toEqual({ remote: entry });
  });

  test("with headers that are no JSON are refused, with the remedy", async () => {
    const entry = { type: "http", url: "https://example.org/mcp", headers: { "x-key": "k" } };
    const { servers } = await withProxy({ remote: entry }, program, all, noProblem);
    for (const broken of ["{", "[]", "null", 7]) {
      const remote = servers["remote"] as { env: object };
      const edited = { remote: { ...remote, env: { ...remote.env, DEWEY_UPSTREAM_HEADERS: broken } } };
      expect(isProxied(edited.remote)).toBe(true);
      expect(() => withoutProxy(edited, {}, program)).toThrow(
        'DEWEY_UPSTREAM_HEADERS of the server "remote" should be a JSON object of headers; correct it',
      );
    }
  });

  test("are put behind the proxy when they speak the older SSE transport, and back", async () => {
    const older = {
      typed: { type: "sse", url: "https://example.org/events", headers: { "x-key": "k" } },
      untyped: { url: "https://example.org/sse" },
      newer: { type: "http", url: "https://example.org/sse" },
    };
    const done = await withProxy(older, program, all, noProblem);
    expect(done.proxied).toEqual(Object.keys(older));
    const flags = Object.values(done.servers).map((entry) => (entry as { args: string[] }).args.includes("--sse"));
    expect(flags).toEqual([true, true, false]);
    expect(withoutProxy(done.servers, {}, program)).toEqual({
      ...older,
      untyped: { type: "sse", url: "https://example.org/sse" },
    });
    expect(withoutProxy(done.servers, older, program)).toEqual(older);
  });

  test("stay direct when a proxy would break them, with the reason", async () => {
    const direct = {
      oauth: { type: "http", url: "https://example.org/mcp", oauth: { clientId: "x" } },
      probed: { type: "http", url: "https://example.org/other" },
      odd: { something: true },
    };
    const done = await withProxy(direct, program, all, (entry) =>
      Promise.resolve(entry["url"] === direct.probed.url ? "signs in" : undefined),
    );
    expect(done.servers).toEqual(direct);
    expect(done.direct.map((each) => `${each.name}: ${each.reason}`)).toEqual([
      "oauth: signs in by OAuth, which only the client itself can do",
      "probed: signs in",
      "odd: has an entry of an unknown form",
    ]);
  });

  test("are only the wanted ones and never Dewey; another server of that name is kept", async () => {
    const mine = { dewey: { command: "other" }, ...servers };
    const done = await withProxy(mine, program, (name) => name === "ws", noProblem);
    expect(done.proxied).toEqual(["ws"]);
    expect((await withProxy(mine, program, all, noProblem)).proxied).toEqual(Object.keys(servers));
    expect(done.servers).toMatchObject({ dewey: { command: "other" }, stdio: servers["stdio"] as object });
    expect(withDewey(done.servers, program)).toBe(done.servers);
    expect(unproxied({ command: "npx", args: ["proxy", "--stdio"] })).toBeUndefined();
  });
});
