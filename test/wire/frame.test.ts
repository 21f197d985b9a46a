import { expect, test } from "bun:test";
import { MAX_FRAME_BYTES, asLine, errorFrame, isDeeperThan, requestIds, viewFrame } from "../../src/wire/frame.ts";

test("ids of any kind are echoed exactly, including numbers that JavaScript cannot represent", () => {
  for (const id of ["1", "0", "-7", '"1"', '"日本"', "9007199254740993", "123456789012345678901234567890", "1.5"]) {
    const [seen] = requestIds(viewFrame(`{"jsonrpc":"2.0","params":{"id":1.5},"id":${id},"method":"ping"}`));
    expect(errorFrame(seen, -32_000, "no")).toContain(`"id":${id},`);
  }
});

test("ids that differ only beyond the precision of JavaScript's numbers are distinct, in a batch too", () => {
  const batch = [3, 4].map((end) => `{"jsonrpc":"2.0","id":900719925474099${end},"method":"ping"}`);
  const ids = requestIds(viewFrame(`[${batch.join(",")}]`));
  expect(ids.map((id) => JSON.stringify(id))).toEqual(["9007199254740993", "9007199254740994"]);
  const mixed = requestIds(viewFrame(`[{"jsonrpc":"2.0","id":1,"method":"ping"},1,${batch[0]}]`));
  expect(mixed.map((id) => JSON.stringify(id))).toEqual(["1", "9007199254740993"]);
});

test("a frame that is not JSON-RPC is invalid", () => {
  for (const text of ["", "{", "1,2"]) expect(viewFrame(text)).toEqual({ kind: "invalid", reason: "not JSON" });
  for (const text of ["1", "null", "[]", "{}", '"a"', '{"id":1}']) {
    expect(viewFrame(text)).toEqual({ kind: "invalid", reason: "not JSON-RPC" });
  }
});

test("a message is a request, a notification or a response, and the keys of ids differ by type", () => {
  const view = (rest: string) => viewFrame(`{"jsonrpc":"2.0",${rest}}`);
  expect(view('"id":1,"method":"ping"')).toMatchObject({ kind: "request", id: 1, key: "1", method: "ping" });
  expect(view('"id":"1","method":"ping"')).toMatchObject({ kind: "request", id: "1", key: '"1"' });
  expect(view('"id":null,"method":"ping"')).toMatchObject({ kind: "request", id: null, key: "null" });
  expect(view('"method":"ping"')).toMatchObject({ kind: "notification", method: "ping" });
  expect(view('"id":1,"result":{}')).toMatchObject({ kind: "response", id: 1, key: "1", isError: false });
  expect(view('"id":1,"error":{}')).toMatchObject({ kind: "response", key: "1", isError: true });
  expect(requestIds(view('"id":1,"result":{}'))).toEqual([]);
});

test("a number keeps its digits only as an id: other fields called id are plain values", () => {
  const text = '{"jsonrpc":"2.0","id":9007199254740993,"method":"m","params":{"id":"a","n":1.50}}';
  const view = viewFrame(text);
  expect(view).toMatchObject({ kind: "request", message: { params: { id: "a", n: 1.5 } } });
});

test("a frame is one line after raw line breaks are replaced by spaces, and unchanged without any", () => {
  expect(asLine('{"a":\r\n1,\n"b":"\\n"}')).toBe('{"a":  1, "b":"\\n"}');
  expect(asLine('{"a":1}')).toBe('{"a":1}');
});

test("a frame may hold 20 MB of content in which JSON escapes every character, and not much more", () => {
  const escaped = 6 * 20_000_000;
  expect(MAX_FRAME_BYTES).toBeGreaterThan(escaped);
  expect(MAX_FRAME_BYTES).toBeLessThan(2 * escaped);
});

test("an id that is an object or an array counts as null, however deeply it is nested", () => {
  for (const depth of [1, 100_000]) {
    const id = `${"[".repeat(depth)}${"]".repeat(depth)}`;
    expect(viewFrame(`{"jsonrpc":"2.0","id":${id},"method":"ping"}`)).toMatchObject({ kind: "request", id: null });
    expect(viewFrame(`{"jsonrpc":"2.0","id":${id},"result":{}}`)).toMatchObject({ kind: "response", key: "null" });
  }
  expect(requestIds(viewFrame('{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}'))).toEqual([null]);
});

test("a large id in a frame that is nested too deeply to find it exactly is no JSON-RPC", () => {
  const params = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  const frame = `{"jsonrpc":"2.0","id":9007199254740993,"method":"ping","params":${params}}`;
  for (const text of [frame, `[${frame}]`])
    expect(viewFrame(text)).toEqual({ kind: "invalid", reason: "not JSON-RPC" });
});

test("a value's depth is known at any depth", () => {
  const nested = (levels: number) => JSON.parse(`${'[{"a":'.repeat(levels / 2)}1${"}]".repeat(levels / 2)}`) as unknown;
  for (const levels of [2, 10, 100_000]) {
    expect(isDeeperThan(nested(levels), levels)).toBe(false);
    expect(isDeeperThan(nested(levels), levels - 1)).toBe(true);
  }
  for (const flat of [1, "text", null]) expect(isDeeperThan(flat, 0)).toBe(false);
  for (const flat of [[], {}, [1], { a: null }])
    expect([0, 1].map((levels) => isDeeperThan(flat, levels))).toEqual([true, false]);
  expect(isDeeperThan([1, [], [[]]], 2)).toBe(true);
});
