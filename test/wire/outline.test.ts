import { describe, expect, test } from "bun:test";
import { viewFrame } from "../../src/wire/frame.ts";
import { isMessage, outlineFrame } from "../../src/wire/outline.ts";

const long = `${'a "quoted" word, a \\ and a\nline. '.repeat(5)}${"x".repeat(9000)}`;
const call = (text: string, id: unknown = 7) =>
  JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: { name: "echo", arguments: { text } } });

describe("the outline of a frame", () => {
  test("leaves out long strings of a call or a response", () => {
    expect(outlineFrame(call(long))).toEqual(viewFrame(call("")));
    const answer = (text: string) =>
      JSON.stringify({ jsonrpc: "2.0", id: "a", result: { content: [{ text }, { text: "b" }] } });
    expect(outlineFrame(answer(long))).toEqual(viewFrame(answer("")));
    const error = (message: string) => JSON.stringify({ jsonrpc: "2.0", id: 1, error: { code: -32_000, message } });
    expect(outlineFrame(error(long))).toEqual(viewFrame(error("")));
  });

  test("keeps ids that JavaScript cannot represent", () => {
    const text = call(long).replace('"id":7', '"id":12345678901234567890');
    const view = outlineFrame(text);
    expect(JSON.stringify(view.kind === "request" ? view.id : undefined)).toBe("12345678901234567890");
  });

  test("keeps every string of other messages, of batches, of short frames and of frames with a long id", () => {
    const initialize = {
      jsonrpc: "2.0",
      id: 0,
      method: "initialize",
      params: { clientInfo: { name: "a", icon: long } },
    };
    const frames = [JSON.stringify(initialize), `[${call(long)},${call("b", 8)}]`, call("short"), call(long, long)];
    for (const frame of frames) expect(outlineFrame(frame)).toEqual(viewFrame(frame));
  });

  test("keeps every string of a frame with many quotes, and recognises invalid JSON", () => {
    const quotes = call('"'.repeat(3000));
    expect(outlineFrame(quotes)).toEqual(viewFrame(quotes));
    for (const broken of [call(long).slice(0, -1), call(long).slice(0, -10), `"${long}`, `${call(long)}"`])
      expect(outlineFrame(broken)).toEqual({ kind: "invalid", reason: "not JSON" });
  });

  test("ends a string at a quote after an even number of backslashes", () => {
    const text = call(`${"x".repeat(3000)}\\`);
    expect(outlineFrame(text)).toEqual(viewFrame(call("")));
    expect(outlineFrame(call(`${"x".repeat(3000)}\\"`))).toEqual(viewFrame(call("")));
  });
});

test("a line is a message when it has the field jsonrpc itself, wherever that stands", () => {
  const long = "x".repeat(5000);
  for (const line of [
    '{"jsonrpc":"2.0","method":"n"}',
    ' { "jsonrpc" : "2.0", "method": "n" }',
    '{"id":"a","jsonrpc":"2.0","result":{}}',
    `{"result":{"text":"${long}"},"jsonrpc":"2.0","id":1}`,
    `{"result":{"text":"${long}"},"id":1,"jsonrpc":"2.0"}`,
    `{"method":"n","jsonrpc":"2.0","params":{"text":"${long}"}}`,
    `[{"method":"n","jsonrpc":"2.0"}]`,
    '{"jsonrpc":"2.0","method":"unfinished',
  ])
    expect([line.slice(0, 60), isMessage(line)]).toEqual([line.slice(0, 60), true]);
  for (const line of [
    "{}",
    "[]",
    "1",
    "null",
    '"jsonrpc"',
    "Listening on 3000",
    '{"level":"info","msg":"jsonrpc"}',
    '{"id":1,"method":"GET","path":"/"}',
    '{"level":30,"request":{"jsonrpc":"2.0","id":1,"method":"n"}}',
    `{"request":{"jsonrpc":"2.0","id":1},"text":"${long}"}`,
    '{"msg":"got {\\"jsonrpc\\":\\"2.0\\",\\"id\\":1}"}',
    '[{"request":{"jsonrpc":"2.0","id":1,"method":"n"}}]',
    'log: {"jsonrpc":"2.0","id":1}',
  ])
    expect([line.slice(0, 60), isMessage(line)]).toEqual([line.slice(0, 60), false]);
});
