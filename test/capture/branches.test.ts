import { expect, test } from "bun:test";
import { Branches } from "../../src/capture/branches.ts";

test("a second prompt under one parent abandons the first with all under it; calls made at once abandon nothing", () => {
  const branches = new Branches();
  const add = (id: string, parent: string | null, isPrompt = false) => branches.add(id, parent, isPrompt, [id]);
  expect(add("p1", null, true)).toBeUndefined();
  expect([add("call1", "p1"), add("call2", "call1"), add("result1", "call1"), add("result2", "call2")]).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  add("p2", "result2", true);
  add("a2", "p2");
  const turned = add("p3", "result2", true);
  expect([turned?.abandoned.toSorted((a, b) => (a < b ? -1 : 1)), turned?.current]).toEqual([["a2", "p2"], []]);
  // Gone back to, the first is current again, and the second is left.
  expect(add("a2b", "a2")).toEqual({ abandoned: ["p3"], current: ["a2", "p2"] });
  // Another beginning is no branch.
  expect(add("p0", null, true)).toBeUndefined();
});
