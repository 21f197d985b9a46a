import { expect, test } from "bun:test";
import { errorFrame, requestIds, viewFrame } from "../../src/wire/frame.ts";

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
});

test("a frame that is not JSON-RPC is invalid", () => {
  for (const text of ["", "{", "1,2"]) expect(viewFrame(text)).toEqual({ kind: "invalid", reason: "not JSON" });
  for (const text of ["1", "null", "[]", "{}", '"a"', '{"id":1}']) {
    expect(viewFrame(text)).toEqual({ kind: "invalid", reason: "not JSON-RPC" });
  }
});
