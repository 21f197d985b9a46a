import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { RecordBuilder } from "../../../src/proxy/delivery/record.ts";
import { Claims } from "../../../src/proxy/spool/claims.ts";
import type { Entry } from "../../../src/proxy/spool/entry.ts";
import type { Appended, Spool } from "../../../src/proxy/spool/spool.ts";
import { StatelessSessions } from "../../../src/proxy/spool/stateless.ts";
import type { SessionFacts } from "../../../src/proxy/spool/tap.ts";
import { viewFrame } from "../../../src/wire/frame.ts";
import { stopClock } from "../../support/clock.ts";

const upstream = { name: "tools", wire: "http", url: "http://tools/", headers: {}, record: "calls" } as const;
const facts: SessionFacts = { upstream, wire: "http" };

let entries: Entry[];
let sessions: StatelessSessions;
/** A spool that keeps the entries, each session's opening first. */
const spool = {
  append({ open, entry, pass }: Appended) {
    if (!entries.some((each) => each.kind === "open" && each.session === open.session)) entries.push(open);
    entries.push(entry);
    pass();
  },
} as unknown as Spool;

beforeEach(() => {
  entries = [];
  sessions = new StatelessSessions({ spool, claims: new Claims("/nowhere"), gapMs: 1000 });
});
afterEach(() => sessions.stop());

const named = (name: string) => ({ _meta: { "io.modelcontextprotocol/clientInfo": { name, version: "1" } } });
const call = (tool: string, more: object = {}) => ({ id: 1, method: "tools/call", params: { name: tool, ...more } });
const answer = (text: string) => ({ id: 1, result: { content: [{ type: "text", text }] } });

/** One request with its answer, which begins no session. */
function exchange(up: object, down: object | undefined, { of = facts, peer = "peer" } = {}): void {
  const tap = sessions.tap(of, peer);
  const send = (direction: "up" | "down", message: object) => {
    const text = JSON.stringify({ jsonrpc: "2.0", ...message });
    tap.frame(direction, { text, view: viewFrame(text) }, () => {});
  };
  send("up", up);
  if (down) send("down", down);
  tap.answered();
}

/** The recorded conversations: the client's name, and the contents. */
function conversations(): [unknown, string[]][] {
  const recorder = new RecordBuilder();
  const made = new Map<string, [unknown, string[]]>();
  for (const delivery of [...entries.flatMap((entry) => recorder.take(entry)), ...recorder.abandon()]) {
    if (delivery.kind === "begin") made.set(delivery.conversation, [delivery.metadata["client_name"], []]);
    if (delivery.kind === "message") made.get(delivery.conversation)?.[1].push(delivery.message.content);
  }
  return [...made.values()];
}

describe("requests that belong to no session", () => {
  test("form a conversation of their client, which they name", () => {
    exchange(call("a", named("one")), answer("A"));
    exchange(call("b", named("other")), answer("B"));
    exchange(call("c", named("one")), answer("C"));
    expect(conversations()).toEqual([
      ["one", ["a", "A", "c", "C"]],
      ["other", ["b", "B"]],
    ]);
  });

  test("form one for each peer, upstream and key", () => {
    exchange(call("a", named("one")), answer("A"));
    exchange(call("b", named("one")), answer("B"), { peer: "another" });
    exchange(call("c", named("one")), answer("C"), { of: { ...facts, upstream: { ...upstream, name: "else" } } });
    exchange(call("d", named("one")), answer("D"), { of: { ...facts, sessionKey: "key" } });
    expect(conversations().map(([, contents]) => contents)).toEqual([
      ["a", "A"],
      ["b", "B"],
      ["c", "C"],
      ["d", "D"],
    ]);
  });

  test("begin another conversation after a time without any, unless one is in flight", async () => {
    using clock = stopClock();
    sessions.stop();
    sessions = new StatelessSessions({ spool, claims: new Claims("/nowhere"), gapMs: 1000 });
    exchange(call("a"), answer("A"));
    await clock.pass(900);
    exchange(call("b"), answer("B"));
    await clock.pass(2500);
    exchange(call("c"), answer("C"));
    const slow = sessions.tap(facts, "peer");
    const text = JSON.stringify({ jsonrpc: "2.0", ...call("slow") });
    slow.frame("up", { text, view: viewFrame(text) }, () => {});
    await clock.pass(2500);
    exchange(call("d"), answer("D"));
    expect(conversations().map(([, contents]) => contents)).toEqual([
      ["a", "A", "b", "B"],
      ["c", "C", "slow", "d", "D", expect.stringContaining("no answer")],
    ]);
  });

  test("are introduced by a handshake that began no session, and a handshake alone leaves nothing", () => {
    const initialize = { id: 0, method: "initialize", params: { clientInfo: { name: "clio", version: "2" } } };
    const initialized = { id: 0, result: { protocolVersion: "2025-11-25", serverInfo: { name: "files" } } };
    exchange(initialize, initialized);
    expect(conversations()).toEqual([]);
    exchange(call("a"), answer("A"));
    exchange(initialize, initialized);
    exchange(call("b"), answer("B"));
    expect(conversations()).toEqual([["clio", ["files", "a", "A", "b", "B"]]]);
  });

  test("keep the answers of clients apart that use the same ids at the same time", () => {
    const [one, other] = [sessions.tap(facts, "peer"), sessions.tap(facts, "peer")];
    const send = (tap: typeof one, direction: "up" | "down", message: object) => {
      const text = JSON.stringify({ jsonrpc: "2.0", ...message });
      tap.frame(direction, { text, view: viewFrame(text) }, () => {});
    };
    send(one, "up", call("a"));
    send(other, "up", call("b"));
    send(one, "down", answer("A"));
    send(other, "down", answer("B"));
    const recorder = new RecordBuilder();
    const messages = entries
      .flatMap((entry) => recorder.take(entry))
      .flatMap((each) => (each.kind === "message" ? [each.message] : []));
    expect(messages.map(({ content, metadata }) => [content, metadata["tool"]])).toEqual([
      ["a", "a"],
      ["b", "b"],
      ["A", "a"],
      ["B", "b"],
    ]);
    expect(messages.map(({ metadata }) => metadata["call"])).toEqual([
      undefined,
      undefined,
      messages[0]?.message_id,
      messages[1]?.message_id,
    ]);
  });

  test("of an upstream that is not recorded leave nothing", () => {
    exchange(call("a"), answer("A"), { of: { ...facts, upstream: { ...upstream, record: "none" } } });
    expect(entries).toEqual([]);
  });
});

test("a handshake that begins a session is recorded with it", () => {
  const tap = sessions.tap(facts, "peer");
  for (const message of [{ id: 0, method: "initialize", params: { clientInfo: { name: "clio" } } }, call("a")]) {
    const text = JSON.stringify({ jsonrpc: "2.0", ...message });
    tap.frame("up", { text, view: viewFrame(text) }, () => {});
  }
  tap.closed("the client ended it");
  expect(entries.at(-1)).toMatchObject({ kind: "close", reason: "the client ended it" });
  expect(conversations()).toEqual([["clio", ["a", "(no answer: the client ended it)"]]]);
});

test("what comes once a request has ended is passed on, and begins no other conversation", () => {
  const tap = sessions.tap(facts, "peer");
  const send = (direction: "up" | "down", message: object) => {
    const text = JSON.stringify({ jsonrpc: "2.0", ...message });
    let hasPassed = false;
    tap.frame(direction, { text, view: viewFrame(text) }, () => void (hasPassed = true));
    return hasPassed;
  };
  send("up", { id: 0, method: "initialize", params: { clientInfo: { name: "one", version: "1" } } });
  send("up", call("a"));
  tap.closed("the proxy is stopping");
  const before = entries.length;
  expect(send("down", answer("late"))).toBe(true);
  expect(entries.length).toBe(before);
});

test("a client that gives itself no name, or a very long one, is recorded like any other", () => {
  const tap = sessions.tap(facts, "peer");
  const deep = `${"[".repeat(60_000)}${"]".repeat(60_000)}`;
  const text = JSON.stringify({ jsonrpc: "2.0", ...call("a", named("DEEP")) }).replace('"DEEP"', deep);
  let passed = 0;
  tap.frame("up", { text, view: viewFrame(text) }, () => (passed += 1));
  tap.answered();
  for (const each of ["b", "c"]) exchange(call(each, named("n".repeat(100_000))), answer(each));
  expect([passed, conversations().map(([, contents]) => contents)]).toEqual([
    1,
    [
      ["a", "(no answer: the proxy ended before the session did)"],
      ["b", "b", "c", "c"],
    ],
  ]);
});
