import { describe, expect, test } from "bun:test";
import {
  commandLineUpstream,
  defaultUpstreams,
  dialUpstream,
  parseUpstreams,
} from "../../../src/proxy/relay/upstreams.ts";
import type { Upstream } from "../../../src/proxy/relay/upstreams.ts";
import { echoCommand, startEchoWebSocket } from "../../support/echo-server.ts";
import { failure } from "../../support/failure.ts";
import { listen } from "../../support/links.ts";
import { freePort } from "../../support/ports.ts";
import { quiet } from "../../support/quiet.ts";
import { startTalkingHttp } from "../../support/talking-server.ts";

const context = {
  env: { PATH: "/bin", SEARCH_TOKEN: "t0ken" },
  dewey: { url: "ws://localhost:9020", token: "secret" },
};
const parse = (value: unknown) =>
  parseUpstreams(typeof value === "string" ? value : JSON.stringify(value), "mcp.json", context);

function mistakes(value: unknown): string {
  try {
    parse(value);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("it was taken");
}

describe("the upstream configuration", () => {
  test("has the clients' own format, and derives a missing type", () => {
    const { byName, defaultName } = parse({
      mcpServers: {
        local: { command: "npx", args: ["-y", "x"], env: { KEY: "${SEARCH_TOKEN}" }, cwd: "/tmp" },
        remote: {
          type: "http",
          url: "https://example.org/mcp",
          headers: { Authorization: "Bearer ${SEARCH_TOKEN}", X: "${NONE:-y}" },
          record: "all",
        },
        socket: { url: "ws://localhost:1" },
        dewey: { url: "ws://localhost:9020" },
      },
      default: "remote",
    });
    expect(byName.get("local")).toEqual({
      name: "local",
      wire: "stdio",
      command: "npx",
      args: ["-y", "x"],
      env: { ...context.env, KEY: "t0ken" },
      cwd: "/tmp",
      record: "calls",
    });
    expect(byName.get("remote")).toEqual({
      name: "remote",
      wire: "http",
      url: "https://example.org/mcp",
      headers: { Authorization: "Bearer t0ken", X: "y" },
      record: "all",
    });
    expect(byName.get("socket")).toMatchObject({ wire: "websocket", record: "calls" });
    expect([byName.get("dewey")?.record, defaultName]).toEqual(["none", "remote"]);
  });

  test("needs no default for a single server", () => {
    expect(parse({ mcpServers: { only: { command: "x" } } }).defaultName).toBe("only");
    expect(parse({ mcpServers: { a: { command: "x" }, b: { command: "y" } } }).defaultName).toBeUndefined();
  });

  test("accepts every type, whatever the scheme of the URL", () => {
    const { byName } = parse({
      mcpServers: {
        child: { type: "stdio", command: "x", record: "none" },
        socket: { type: "ws", url: "http://x/", record: "calls" },
        plain: { type: "http", url: "ws://x/" },
        streamable: { type: "streamable-http", url: "ws://x/" },
        secure: { url: "wss://x/" },
      },
    });
    expect([...byName.values()].map(({ name, wire, record }) => [name, wire, record])).toEqual([
      ["child", "stdio", "none"],
      ["socket", "websocket", "calls"],
      ["plain", "http", "calls"],
      ["streamable", "http", "calls"],
      ["secure", "websocket", "calls"],
    ]);
  });

  test("accepts the types and address fields of all clients, in any spelling", () => {
    const { byName, mistakes: none } = parse({
      mcpServers: {
        cline: { type: "streamableHttp", url: "http://x/" },
        other: { type: "Streamable_HTTP", url: "http://x/" },
        gemini: { httpUrl: "http://x/gemini" },
        windsurf: { serverUrl: "http://x/windsurf" },
        librechat: { type: "websocket", url: "http://x/" },
        older: { type: "sse", url: "http://x/events" },
        untyped: { url: "http://x/sse?key=1" },
        newer: { type: "http", url: "http://x/sse" },
      },
    });
    expect(none).toBeUndefined();
    expect([...byName.values()].map((each) => [each.wire, "url" in each && each.url])).toEqual([
      ["http", "http://x/"],
      ["http", "http://x/"],
      ["http", "http://x/gemini"],
      ["http", "http://x/windsurf"],
      ["websocket", "http://x/"],
      ["sse", "http://x/events"],
      ["sse", "http://x/sse?key=1"],
      ["http", "http://x/sse"],
    ]);
  });

  test("may be VS Code's, with comments and trailing commas", () => {
    const { byName, warnings } = parse(`{
      // servers of this project
      "servers": { "a": { "type": "stdio", "command": "x", "args": ["//no comment",], }, },
      "inputs": [],
    }`);
    expect(byName.get("a")).toMatchObject({ wire: "stdio", args: ["//no comment"] });
    expect(warnings).toEqual(["mcp.json has the unknown key inputs, which is ignored"]);
  });

  test("expands variables in every text, with or without a default", () => {
    const { byName } = parse({
      mcpServers: {
        local: {
          command: "${PATH}/x",
          args: ["--token=${SEARCH_TOKEN}", "${NONE:-a:-b}", "${NONE:-}", "$x ${not a name} ${", "${env:PATH}"],
          env: { A: "${SEARCH_TOKEN}${SEARCH_TOKEN}" },
          cwd: "${HOME:-/home}/me",
        },
        remote: { url: "https://${HOST:-example.org}/mcp?key=${SEARCH_TOKEN}", headers: { A: "${SEARCH_TOKEN}" } },
      },
    });
    expect(byName.get("local")).toMatchObject({
      command: "/bin/x",
      args: ["--token=t0ken", "a:-b", "", "$x ${not a name} ${", "/bin"],
      env: { A: "t0kent0ken" },
      cwd: "/home/me",
    });
    expect(byName.get("remote")).toMatchObject({ url: "https://example.org/mcp?key=t0ken", headers: { A: "t0ken" } });
    const unclosed = "${A:-".repeat(200_000);
    const read = parse({ mcpServers: { a: { command: "x", args: [unclosed] } } });
    expect(read.byName.get("a")).toMatchObject({ args: [unclosed] });
  });

  test("turns numbers and booleans of the environment into text, and leaves null out", () => {
    const { byName } = parse({ mcpServers: { a: { command: "x", env: { N: 8080, F: 1.5, B: true, NULL: null } } } });
    expect(byName.get("a")).toMatchObject({ env: { ...context.env, N: "8080", F: "1.5", B: "true" } });
    expect(byName.get("a")).not.toHaveProperty("env.NULL");
  });

  test("leaves disabled servers out, whatever else their entries hold", () => {
    const {
      byName,
      mistakes: none,
      defaultName,
    } = parse({
      mcpServers: {
        off: { command: "x", disabled: true },
        broken: { url: 1, disabled: true },
        codex: { url: "http://x/", enabled: false },
        on: { command: "x", disabled: false, enabled: true },
      },
    });
    expect([[...byName.keys()], none, defaultName]).toEqual([["on"], undefined, "on"]);
  });

  test("names unknown keys, and ignores them", () => {
    const {
      byName,
      warnings,
      mistakes: none,
    } = parse({
      $schema: "x",
      theme: "dark",
      mcpServers: { a: { command: "x", autoApprove: [], timeout: 60 }, b: { url: "http://x", trust: true } },
      default: "a",
    });
    expect([[...byName.keys()], none]).toEqual([["a", "b"], undefined]);
    expect(warnings).toEqual(
      ["theme", "mcpServers.a.autoApprove", "mcpServers.a.timeout", "mcpServers.b.trust"].map(
        (key) => `mcp.json has the unknown key ${key}, which is ignored`,
      ),
    );
  });

  test("leaves a wrong entry out, and names its mistake with the path and the remedy", () => {
    for (const [entry, problem] of [
      [{ command: "" }, "a.command should not be empty"],
      [{ command: 1 }, "a.command should be a string"],
      [{ command: "x", args: [1] }, "a.args.0 should be a string"],
      [{ command: "x", args: "y" }, "a.args should be an array"],
      [{ command: "x", env: { A: {} } }, "a.env.A should be a string"],
      [{ command: "x", env: [] }, "a.env should be an object"],
      [{ command: "x", type: "http" }, "a.type should be stdio for a command"],
      [{ command: "x", disabled: "yes" }, "a.disabled should be true or false"],
      [{ command: "x", env: { A: "${UNSET}" } }, "a.env.A refers to the variable UNSET, which is not set"],
      [{ command: "x", args: ["${UNSET}"] }, "a.args.0 refers to the variable UNSET, which is not set"],
      [{ command: "x", args: ["${input:key}"] }, "a.args.0 refers to ${input:key}, which only its own client asks for"],
      [{ url: "x" }, "a.url should be a URL"],
      [{ httpUrl: "x" }, "a.httpUrl should be a URL"],
      [{ url: "ws://x", record: "some" }, "a.record should be calls, all or none"],
      [{ url: "ws://x", headers: { A: "${UNSET}" } }, "a.headers.A refers to the variable UNSET, which is not set"],
      [{ type: "pigeon", url: "http://x" }, "a.type should be stdio, http, sse or ws"],
      [{ type: "constructor", url: "http://x" }, "a.type should be stdio, http, sse or ws"],
      [{ url: "ws://x", forwardAuthorization: true }, "a.forwardAuthorization needs the type http"],
      [{ type: "http" }, "a should have a command or a url"],
      [null, "a should be an object"],
    ] as const) {
      const read = parse({ mcpServers: { a: entry, b: { command: "x" } } });
      expect(read.mistakes).toBe(`The upstream configuration mcp.json is invalid:\n  mcpServers.${problem}`);
      expect([[...read.byName.keys()], read.defaultName, [...(read.wrong?.keys() ?? [])]]).toEqual([["b"], "b", ["a"]]);
    }
    const { mistakes: named, defaultName } = parse({
      mcpServers: { a: { command: "x" }, b: { command: "x" } },
      default: "c",
    });
    expect([named, defaultName]).toEqual([
      "The upstream configuration mcp.json is invalid:\n  default should be one of the servers: a, b",
      undefined,
    ]);
  });

  test("is refused with all of its mistakes when nothing in it can be used", () => {
    const message = mistakes({
      mcpServers: {
        a: { command: "" },
        b: { type: "pigeon", url: "http://x" },
        c: { url: "nonsense", colour: 1 },
        "": { command: "x" },
      },
      default: "z",
    });
    for (const part of [
      "mcpServers.a.command",
      "mcpServers.b.type",
      "mcpServers.c.url",
      "mcpServers should have a name",
      "default should be one of",
    ])
      expect(message).toContain(part);
    expect(mistakes("{")).toContain("is not JSON");
    for (const wrong of [{ other: {} }, { mcpServers: [] }, { mcpServers: 1 }, [], 1])
      expect(mistakes(wrong)).toStartWith("The upstream configuration mcp.json is invalid:\n");
  });
});

test("without a file there are the orchestrator and Dewey, and only Dewey gets its token", () => {
  const { byName, defaultName } = defaultUpstreams(context);
  expect(defaultName).toBe("fiedler");
  expect([...byName]).toEqual([
    ["fiedler", { name: "fiedler", wire: "websocket", url: "ws://fiedler:9010", headers: {}, record: "calls" }],
    [
      "dewey",
      {
        name: "dewey",
        wire: "websocket",
        url: "ws://localhost:9020",
        headers: { authorization: "Bearer secret" },
        record: "none",
      },
    ],
  ]);
  const { byName: open } = defaultUpstreams({ ...context, dewey: { url: "ws://localhost:9020" } });
  expect(open.get("dewey")).toMatchObject({ headers: {} });
});

test("the command line gives a URL, or a command with arguments", () => {
  expect(commandLineUpstream(["https://example.org:8080/mcp?key=1"], context)).toMatchObject({
    name: "example.org:8080",
    wire: "http",
    url: "https://example.org:8080/mcp?key=1",
    headers: {},
    record: "calls",
  });
  expect(commandLineUpstream(["ws://x/"], context, { "x-key": "k" })).toMatchObject({
    wire: "websocket",
    headers: { "x-key": "k" },
  });
  expect(commandLineUpstream(["/usr/bin/node", "server.js", "--flag"], context)).toMatchObject({
    name: "node",
    wire: "stdio",
    command: "/usr/bin/node",
    args: ["server.js", "--flag"],
    env: context.env,
    cwd: undefined,
    record: "calls",
  });
  expect(commandLineUpstream(["http://x/", "--flag"], context)).toMatchObject({ wire: "stdio", command: "http://x/" });
  expect(commandLineUpstream(["cat"], context)).toMatchObject({ wire: "stdio", name: "cat", args: [] });
});

describe("an upstream", () => {
  const common = { name: "tools", record: "calls", headers: {} } as const;
  const initialize = JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method: "initialize",
    params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } },
  });

  test("is dialled on its wire", async () => {
    const port = freePort();
    const http = startTalkingHttp(port);
    const socket = startEchoWebSocket({ subprotocol: true });
    const env = { PATH: process.env["PATH"] ?? "" };
    const upstreams: Upstream[] = [
      { ...common, wire: "stdio", ...echoCommand, env, cwd: undefined },
      { ...common, wire: "websocket", url: socket.url },
      { ...common, wire: "http", url: `http://127.0.0.1:${port}/mcp` },
    ];
    for (const upstream of upstreams) {
      const link = await dialUpstream(upstream, quiet);
      expect(link.wire).toBe(upstream.wire);
      const heard = listen(link);
      link.send(initialize);
      expect((await heard.count(1))[0]).toContain('"serverInfo"');
      link.close();
      await heard.end();
    }
    await socket.stop();
    await http.stop();
  });

  test("that cannot be dialled gives an error with its name and the reason", async () => {
    const nowhere: Upstream = { ...common, wire: "websocket", url: `ws://127.0.0.1:${freePort()}/` };
    const away = await failure(dialUpstream(nowhere, quiet));
    expect([away.code, away.message]).toEqual([
      "unavailable",
      expect.stringMatching(/^the upstream tools is not available: .*cannot be reached/),
    ]);
    const missing: Upstream = {
      ...common,
      wire: "stdio",
      command: "no-such-command",
      args: [],
      env: {},
      cwd: undefined,
    };
    const absent = await failure(dialUpstream(missing, quiet));
    expect([absent.code, absent.message]).toEqual(["not_found", expect.stringMatching(/tools.*no-such-command/)]);
  });
});
