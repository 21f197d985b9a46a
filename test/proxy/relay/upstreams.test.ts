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

  test("is refused for a single mistake, with its path and the remedy", () => {
    for (const [entry, problem] of [
      [{ command: "" }, "mcpServers.a.command should not be empty"],
      [{ command: "x", args: [1] }, "mcpServers.a.args.0 should be a string"],
      [{ command: "x", env: { A: 1 } }, "mcpServers.a.env.A should be a string"],
      [{ command: "x", env: { A: "${UNSET}" } }, "mcpServers.a.env.A refers to the variable UNSET, which is not set"],
      [{ url: "x" }, "mcpServers.a.url should be a URL"],
      [{ url: "ws://x", record: "some" }, "mcpServers.a.record should be calls, all or none"],
      [
        { url: "ws://x", headers: { A: "${UNSET}" } },
        "mcpServers.a.headers.A refers to the variable UNSET, which is not set",
      ],
      [
        { type: "sse", url: "http://x" },
        "mcpServers.a.type should be ws or http (the older sse is not supported: most servers offer http too)",
      ],
    ] as const)
      expect(mistakes({ mcpServers: { a: entry, b: { command: "x" } } })).toBe(
        `The upstream configuration mcp.json is invalid:\n  ${problem}`,
      );
    expect(mistakes({ mcpServers: { a: { command: "x" }, b: { command: "x" } }, default: "c" })).toEndWith(
      "\n  default should be one of the servers: a, b",
    );
    for (const wrong of [{ mcpServers: { "": { command: "x" } } }, { mcpServers: [] }, [], { mcpServers: {}, x: 1 }])
      expect(mistakes(wrong)).toStartWith("The upstream configuration mcp.json is invalid:\n");
  });

  test("is refused with all of its mistakes", () => {
    const message = mistakes({
      mcpServers: {
        a: { command: "" },
        b: { type: "sse", url: "http://x" },
        c: { url: "nonsense", colour: 1 },
        d: { command: "x", args: [1] },
        e: { url: "ws://x", headers: { K: "${UNSET}" } },
      },
      default: "z",
    });
    for (const part of [
      "mcpServers.a.command",
      "mcpServers.b.type",
      "sse is not supported",
      "mcpServers.c.url",
      "colour",
      "mcpServers.d.args.0",
      "UNSET, which is not set",
      "default should be one of",
    ]) {
      expect(message).toContain(part);
    }
    expect(mistakes("{")).toContain("is not JSON");
    expect(mistakes({ servers: {} })).toContain("mcpServers");
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
