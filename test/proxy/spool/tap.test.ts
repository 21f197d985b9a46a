import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Upstream } from "../../../src/proxy/relay/upstreams.ts";
import { noTap } from "../../../src/proxy/relay/tap.ts";
import type { Direction, Tap } from "../../../src/proxy/relay/tap.ts";
import { Claims } from "../../../src/proxy/spool/claims.ts";
import { Spool } from "../../../src/proxy/spool/spool.ts";
import { recordingTap } from "../../../src/proxy/spool/tap.ts";
import { viewFrame } from "../../../src/wire/frame.ts";
import { spoolFolder, spoolOptions } from "../../support/spool-folder.ts";

let folder: ReturnType<typeof spoolFolder>;
let spool: Spool;
let claims: Claims;
beforeEach(() => {
  folder = spoolFolder();
  spool = new Spool(spoolOptions(folder.path));
  claims = new Claims(folder.path);
});
afterEach(() => {
  spool.close();
  spool.journal?.finish();
  folder[Symbol.dispose]();
});

function tapOf(record: Upstream["record"], sessionKey?: string): Tap {
  const upstream: Upstream = { name: "tools", wire: "http", url: "http://x/", headers: {}, record };
  return recordingTap(spool, claims, { upstream, wire: "stdio", sessionKey, session: "s" });
}

/** Resolves when the frame may go on. */
const pass = (tap: Tap, direction: Direction, frame: object | string) =>
  new Promise<void>((passed) => {
    const text = typeof frame === "string" ? frame : JSON.stringify(frame);
    tap.frame(direction, { text, view: viewFrame(text) }, passed);
  });

/** The session's entries on disk, after the segment's state. */
const entries = () =>
  spool.journal?.current
    ?.read(0)
    .entries.slice(1)
    .map(({ entry }) => entry);

test("a session is written as an opening, its frames unchanged, numbered and timed, and a close", async () => {
  const before = Date.now();
  const tap = tapOf("calls", "key");
  await pass(tap, "up", '{ "id": 1.0, "method": "ping" }');
  await pass(tap, "down", "no JSON");
  tap.closed("bye");
  await new Promise(setImmediate);
  const time = expect.any(Number);
  expect(entries()).toEqual([
    { kind: "open", session: "s", time, upstream: "tools", record: "calls", wire: "stdio", sessionKey: "key" },
    { kind: "frame", session: "s", sequence: 1, direction: "up", time, frame: '{ "id": 1.0, "method": "ping" }' },
    { kind: "frame", session: "s", sequence: 2, direction: "down", time, frame: "no JSON" },
    { kind: "close", session: "s", sequence: 3, time, reason: "bye" },
  ]);
  for (const entry of entries() ?? []) if ("time" in entry) expect(entry.time).toBeWithin(before, Date.now() + 1);
});

test("frames after the end go on unrecorded", async () => {
  const tap = tapOf("all");
  await pass(tap, "up", {});
  tap.closed("bye");
  tap.closed("again");
  let passed = false;
  tap.frame("down", { text: "{}", view: viewFrame("{}") }, () => (passed = true));
  expect(passed).toBe(true);
  await new Promise(setImmediate);
  expect(entries()?.map(({ kind }) => kind)).toEqual(["open", "frame", "close"]);
});

test("a connection without frames leaves nothing", async () => {
  tapOf("all").closed("bye");
  await new Promise(setImmediate);
  expect(spool.journal).toBeUndefined();
});

test("an upstream in mode none has no recording tap", () => {
  expect(tapOf("none")).toBe(noTap);
});

test("a claimed call is marked on its way up, except in mode all", async () => {
  claims.claim("toolu_1");
  const call = { id: 1, method: "tools/call", params: { _meta: { "claudecode/toolUseId": "toolu_1" } } };
  const calls = tapOf("calls");
  await pass(calls, "up", call);
  await pass(calls, "down", call);
  await pass(calls, "up", { ...call, params: {} });
  await pass(tapOf("all"), "up", call);
  const claimed = entries()?.flatMap((entry) => (entry.kind === "frame" ? [entry.claimed] : []));
  expect(claimed).toEqual([true, undefined, undefined, undefined]);
});
