import { expect, test } from "bun:test";
import { FileTally } from "../../src/capture/file-tally.ts";

const look = { path: "/x/one.jsonl", bytes: 1, modifiedMs: 1, hash: "", atMs: 2 };
const place = { source: "/x/one.jsonl", row: 1 };
const message = { message_id: "m", role: "user" as const, content: "a", metadata: null };
const present = () => false;

test("a tally counts what a file holds, and names its conversations", () => {
  const tally = new FileTally(look, 1);
  tally.row();
  tally.add({ kind: "conversation", begin: { conversation_id: "a", metadata: null } }, place);
  tally.add({ kind: "conversation", begin: { conversation_id: "needed", metadata: null }, ifNeeded: true }, place);
  tally.add({ kind: "message", conversation: "b", message }, place);
  tally.add({ kind: "repeated" }, place);
  for (const type of ["constructor", "constructor", "__proto__"]) tally.add({ kind: "unknown", type }, place);
  for (const reason of ["first", "second"]) tally.add({ kind: "broken", reason }, place);
  tally.consulted(["/x/beside"]);
  tally.elsewhere(["c"]);
  const imported = tally.imported((conversation) => conversation === "needed");
  expect(imported).toMatchObject({ begun: ["a"], conversations: ["a", "b", "c"], consulted: ["/x/beside"] });
  expect(imported?.account).toMatchObject({ rows: 1, messages: 2, broken: 2, faults: [{ ...place, reason: "first" }] });
  expect(Object.entries(imported?.account.unknown ?? {})).toEqual([
    ["constructor", 2],
    ["__proto__", 1],
  ]);
});

test("a file of which something is not stored, or may be lost by itself, is none that is imported", () => {
  const without: ((tally: FileTally) => void)[] = [
    (tally) => tally.leaveOut(),
    (tally) => tally.consulted(undefined),
    (tally) => tally.elsewhere(undefined),
    (tally) => tally.add({ kind: "result", result: {} }, place),
    (tally) => tally.add({ kind: "context", context: { name: "a", content: "b", is_active: false } }, place),
    (tally) =>
      tally.add({ kind: "conversation", begin: { conversation_id: "a", metadata: null }, unlessKnown: true }, place),
  ];
  for (const leave of without) {
    const tally = new FileTally(look, 1);
    expect(tally.imported(present)).toBeDefined();
    leave(tally);
    expect(tally.imported(present)).toBeUndefined();
  }
  expect(new FileTally(undefined, 1).imported(present)).toBeUndefined();
});
