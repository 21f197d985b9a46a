import { describe, expect, test } from "bun:test";
import { commandLineUpstream, defaultUpstreams, parseUpstreams } from "../../../src/proxy/relay/upstreams.ts";

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

describe("the file of upstreams", () => {
  test("has the clients' own form, and guesses a type that is left out", () => {
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

  test("needs no default where there is one server only", () => {
    expect(parse({ mcpServers: { only: { command: "x" } } }).defaultName).toBe("only");
    expect(parse({ mcpServers: { a: { command: "x" }, b: { command: "y" } } }).defaultName).toBeUndefined();
  });

  test("is refused with every mistake and its path", () => {
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

test("without a file there are the orchestrator and Dewey, and only Dewey is shown its token", () => {
  const { byName, defaultName } = defaultUpstreams(context);
  expect([...byName.keys(), defaultName]).toEqual(["fiedler", "dewey", "fiedler"]);
  expect(byName.get("dewey")).toMatchObject({
    url: "ws://localhost:9020",
    headers: { authorization: "Bearer secret" },
    record: "none",
  });
  expect(byName.get("fiedler")).toMatchObject({ url: "ws://fiedler:9010", headers: {} });
});

test("the command line names an address, or a command with its arguments", () => {
  expect(commandLineUpstream(["https://example.org:8080/mcp?key=1"], context)).toMatchObject({
    name: "example.org:8080",
    wire: "http",
    url: "https://example.org:8080/mcp?key=1",
  });
  expect(commandLineUpstream(["/usr/bin/node", "server.js", "--flag"], context)).toMatchObject({
    name: "node",
    wire: "stdio",
    command: "/usr/bin/node",
    args: ["server.js", "--flag"],
    env: context.env,
  });
});
