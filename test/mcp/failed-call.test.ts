import { afterAll, beforeAll, expect, test } from "bun:test";
import { createLog } from "../../src/log.ts";
import { testListener } from "../support/listener.ts";
import { engines } from "../support/postgres.ts";
import { Rpc } from "../support/rpc.ts";
import { tools } from "../../src/tools/tools.ts";

type Line = Record<string, unknown>;

const [engine] = engines;
if (!engine) throw new Error("there is no PostgreSQL");

const lines: string[] = [];
const log = createLog({ level: "debug", format: "json", write: (line) => void lines.push(line) });
let listener: Awaited<ReturnType<typeof testListener>>;
let rpc: Rpc;
beforeAll(async () => {
  listener = await testListener(engine, { listener: { log } });
  rpc = await Rpc.open(listener.url);
  await rpc.initialize("dewey");
});
afterAll(async () => {
  rpc.close();
  await listener[Symbol.asyncDispose]();
});

const failures = (): Line[] =>
  lines.map((line) => JSON.parse(line) as Line).filter(({ event }) => event === "a tool call failed");

/** The lines of one failed call, which fails in one way or the other. */
async function failed(name: string, args: Line, id: string): Promise<Line[]> {
  lines.splice(0);
  const result = await rpc.call("tools/call", { name, arguments: args }, id).catch(() => ({ isError: true }));
  expect(result).toMatchObject({ isError: true });
  return failures();
}

const conversation = "01890000-0000-7000-8000-000000000001";

test("a failed call is one line with tool, client, session, conversation, request and cause", async () => {
  const found = await failed("dewey_get_conversation", { conversation_id: conversation }, '"r-7"');
  expect(found).toHaveLength(1);
  expect(found[0]).toMatchObject({
    level: "info",
    tool: "dewey_get_conversation",
    client: "dewey 1",
    session: expect.stringMatching(/^[0-9a-f-]{36}$/),
    address: "127.0.0.1",
    conversation,
    request: "r-7",
    code: "not_found",
    field: "conversation_id",
    cause: expect.stringContaining("there is no conversation"),
  });
});

test("a name that no tool has is a line, without the name", async () => {
  expect(await failed("dewey_no_such_tool", {}, "71")).toMatchObject([
    { tool: "unknown", request: 71, cause: "there is no tool of this name" },
  ]);
  expect(lines.join("")).not.toContain("no_such_tool");
});

test("requests that stand alone are told alike, without a session", async () => {
  lines.splice(0);
  const meta = "io.modelcontextprotocol/";
  const _meta = {
    [`${meta}protocolVersion`]: "2026-07-28",
    [`${meta}clientInfo`]: { name: "alone", version: "2" },
    [`${meta}clientCapabilities`]: {},
  };
  const params = { name: "dewey_get_conversation", arguments: { conversation_id: conversation }, _meta };
  await fetch(listener.httpUrl, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": params.name,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 9, method: "tools/call", params }),
  });
  expect(failures()).toMatchObject([
    { client: "alone 2", session: null, address: "127.0.0.1", request: 9, conversation, code: "not_found" },
  ]);
});

// Whatever a caller writes may be a secret, so none of it reaches the log, wherever it stands.
const MARK = "Xk7vMarkedByTheCaller";

test("no failed call writes its arguments into the log, whichever field is wrong", async () => {
  let calls = 0;
  for (const tool of tools.values()) {
    for (const args of wrongArguments(Object.keys(tool.input.shape))) {
      lines.splice(0);
      await rpc.call("tools/call", { name: tool.name, arguments: args }).catch(() => {});
      calls += failures().length;
      expect({ tool: tool.name, log: lines.join("").includes(MARK) }).toEqual({ tool: tool.name, log: false });
    }
  }
  expect(calls).toBeGreaterThan(tools.size * 3);
});

/** Arguments with the mark in a value, a nested value, an unknown field and a nested name. */
function* wrongArguments(fields: string[]): Generator<Line> {
  yield { [MARK]: 1 };
  for (const field of fields) {
    yield { [field]: MARK };
    yield { [field]: { [MARK]: MARK } };
    yield { [field]: [MARK, { [MARK]: MARK }] };
    yield { ...Object.fromEntries(fields.map((each) => [each, conversation])), [field]: MARK };
  }
}
