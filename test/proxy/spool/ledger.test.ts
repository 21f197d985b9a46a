import { describe, expect, test } from "bun:test";
import type { Entry, FrameEntry, SessionOpen, StateEntry } from "../../../src/proxy/spool/entry.ts";
import { Ledger } from "../../../src/proxy/spool/ledger.ts";
import type { Noted } from "../../../src/proxy/spool/ledger.ts";

const open: SessionOpen = { kind: "open", session: "s", time: 1000, upstream: "tools", record: "calls", wire: "stdio" };

/** A session whose entries are numbered as they are made. */
class Course {
  readonly ledger: Ledger;
  #sequence = 0;

  constructor(record: SessionOpen["record"] = "calls", ledger = new Ledger()) {
    this.ledger = ledger;
    ledger.take({ ...open, record });
  }

  up(message: object | string, more: Partial<FrameEntry> = {}): Noted | undefined {
    return this.#frame("up", message, more);
  }

  down(message: object | string, more: Partial<FrameEntry> = {}): Noted | undefined {
    return this.#frame("down", message, more);
  }

  /** With the handshake, after which answers to unknown requests are none of the session's. */
  introduced(): this {
    this.up({ id: 0, method: "initialize" });
    this.down(answer(0, { serverInfo: { name: "s" } }));
    return this;
  }

  next(): { session: string; sequence: number; time: number } {
    this.#sequence += 1;
    return { session: "s", sequence: this.#sequence, time: 1000 + this.#sequence };
  }

  #frame(direction: FrameEntry["direction"], message: object | string, more: Partial<FrameEntry>): Noted | undefined {
    const frame = typeof message === "string" ? message : JSON.stringify({ jsonrpc: "2.0", ...message });
    return this.ledger.take({ kind: "frame", ...this.next(), direction, frame, ...more });
  }
}

const call = (id: unknown, name: unknown = "echo") => ({ id, method: "tools/call", params: { name } });
const answer = (id: unknown, result: unknown = { content: [] }) => ({ id, result });
const recorded = (noted: Noted | undefined) => noted?.messages?.map(({ as }) => as !== undefined);
const callOf = (noted: Noted | undefined) => noted?.messages?.[0]?.call;

describe("an unanswered request", () => {
  test("is remembered, with the facts that the record of its answer needs, until it is answered", () => {
    const course = new Course().introduced();
    course.up(call(1, "add"));
    course.up(call(2, 7), { claimed: true });
    expect(callOf(course.down(answer(1)))).toStrictEqual({
      method: "tools/call",
      time: 1003,
      id: "1",
      tool: "add",
      place: [3, 0, 1003],
    });
    expect(callOf(course.down(answer(2)))).toStrictEqual({
      method: "tools/call",
      time: 1004,
      id: "2",
      place: [4, 0, 1004],
      claimed: true,
    });
    expect(callOf(course.down(answer(1)))).toBeUndefined();
  });

  test("is not confused with one of the other side that has the same id", () => {
    const course = new Course();
    course.up(call(1));
    course.down({ id: 1, method: "sampling/createMessage" });
    expect(callOf(course.down(answer(1)))?.method).toBe("tools/call");
    expect(callOf(course.up(answer(1)))?.method).toBe("sampling/createMessage");
  });

  test("is forgotten when ten thousand later ones are open, though not its answer", () => {
    const course = new Course();
    course.up({ id: 0, method: "initialize" });
    course.down(answer(0, {}));
    for (let id = 1; id <= 10_001; id++) course.up(call(id));
    expect(callOf(course.down(answer(1)))?.method).toBe("unknown");
    expect(callOf(course.down(answer(2)))?.method).toBe("tools/call");
    expect(course.ledger.sessions[0]?.calls.unanswered()).toHaveLength(9999);
  });

  test("is kept beside a later one with the same id, which is answered first", () => {
    const course = new Course();
    for (const tool of ["first", "second", "third"]) course.up(call(1, tool));
    const tools = [1, 1, 1, 1].map((id) => callOf(course.down(answer(id)))?.tool);
    expect(tools).toEqual(["third", "second", "first", undefined]);
  });

  test("is as new as it was sent, even if its id was used before", () => {
    const course = new Course();
    for (let id = 1; id <= 10_000; id++) course.up(call(id));
    course.up(call(1, "again"));
    expect(callOf(course.down(answer(1)))?.tool).toBe("again");
    expect(callOf(course.down(answer(2)))?.method).toBe("unknown");
  });

  test("is bound to its HTTP request where a session groups the requests of several clients", () => {
    const course = new Course();
    course.up(call(1, "a"), { exchange: 1 });
    course.up(call(1, "b"), { exchange: 2 });
    expect(callOf(course.down(answer(1), { exchange: 1 }))?.tool).toBe("a");
    expect(callOf(course.down(answer(1), { exchange: 2 }))?.tool).toBe("b");
  });
});

describe("recorded messages", () => {
  test("are requests in which something is said or done, and their answers", () => {
    const course = new Course().introduced();
    const methods = ["tools/call", "prompts/get", "resources/read", "sampling/createMessage", "elicitation/create"];
    for (const method of methods) {
      expect(recorded(course.up({ id: method, method }))).toEqual([true]);
      expect(recorded(course.down(answer(method)))).toEqual([true]);
    }
    for (const method of ["initialize", "tools/list", "ping"]) {
      expect(recorded(course.up({ id: method, method }))).toEqual([false]);
      expect(recorded(course.down(answer(method)))).toEqual([false]);
    }
    expect(recorded(course.down({ method: "notifications/progress" }))).toEqual([false]);
    expect(recorded(course.up("no JSON"))).toEqual([false]);
    // An answer to an unknown request.
    expect(recorded(course.down(answer("lost")))).toEqual([false]);
  });

  test("are all messages in mode all", () => {
    const course = new Course("all");
    expect(recorded(course.up({ id: 1, method: "ping" }))).toEqual([true]);
    expect(recorded(course.down(answer(1)))).toEqual([true]);
    expect(recorded(course.down({ method: "notifications/progress" }))).toEqual([true]);
    expect(recorded(course.up("no JSON"))).toEqual([true]);
  });

  test("are chosen one by one in a batch", () => {
    const course = new Course();
    const noted = course.up(
      JSON.stringify([call(1), { id: 2, method: "ping" }, call(3)].map((each) => ({ ...each, jsonrpc: "2.0" }))),
    );
    expect(recorded(noted)).toEqual([true, false, true]);
    expect(noted?.messages?.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(course.up(call(4))?.messages?.map(({ index }) => index)).toEqual([0]);
  });

  test("do not include calls that the client's hooks record", () => {
    const course = new Course();
    expect(recorded(course.up(call(1), { claimed: true }))).toEqual([false]);
  });

  test("include answers to missing requests only after a gap, and only those with content", () => {
    const course = new Course().introduced();
    expect(recorded(course.down(answer(1)))).toEqual([false]);
    course.ledger.take({ kind: "gap", ...course.next(), fromTime: 0, frames: 1, bytes: 1 });
    expect(recorded(course.down(answer(2)))).toEqual([true]);
    expect(callOf(course.down(answer(3)))).toEqual({ method: "unknown", time: 1006 });
    expect(recorded(course.down(answer(4, { contents: [] })))).toEqual([true]);
    expect(recorded(course.down({ id: 5, error: {} }))).toEqual([true]);
    expect(recorded(course.down(answer(6, { tools: [] })))).toEqual([false]);
    expect(recorded(course.down(answer(7, "text")))).toEqual([false]);
  });
});

describe("a session's conversation", () => {
  const begins = (noted: Noted | undefined) => noted?.begins;
  const initialize = {
    id: 0,
    method: "initialize",
    params: { clientInfo: { name: "clio", version: "2" }, protocolVersion: "2025-03-26" },
  };

  test("begins with a call, with the client, the revision and what was said before", () => {
    const course = new Course();
    expect(begins(course.up(initialize))).toBe(false);
    expect(begins(course.down({ id: 0, result: { protocolVersion: "2025-11-25", instructions: "Read me." } }))).toBe(
      false,
    );
    expect(begins(course.down({ id: 1, method: "roots/list" }))).toBe(false);
    expect(begins(course.up({ id: 1, result: { roots: [] } }))).toBe(false);
    const noted = course.up(call(1));
    expect(noted).toMatchObject({
      begins: true,
      session: { client: { name: "clio", version: "2", protocolVersion: "2025-11-25" } },
      held: [
        { as: "introduction", sequence: 2, direction: "down" },
        { as: "request", sequence: 3 },
        { as: "answer", sequence: 4, direction: "up" },
      ],
    });
    expect(begins(course.up(call(2)))).toBe(false);
  });

  test("holds a bounded part of what was said before it begins", () => {
    const course = new Course();
    for (let index = 0; index < 300; index++) course.down({ method: "notifications/message", params: { data: "d" } });
    const many = course.up(call(1))?.held ?? [];
    expect(many).toHaveLength(100);
    const long = new Course();
    for (let index = 0; index < 5; index++)
      long.down({ method: "notifications/message", params: { data: "d".repeat(100_000) } });
    expect(long.up(call(1))?.held).toHaveLength(2);
  });

  test("begins with the first recorded entry of any kind", () => {
    expect(begins(new Course().up(call(1)))).toBe(true);
    const ping = new Course();
    expect(begins(ping.up({ id: 1, method: "ping" }))).toBe(false);
    expect(begins(ping.down(answer(1)))).toBe(false);
    expect(begins(ping.down({ method: "notifications/x" }))).toBe(false);
    expect(begins(new Course().up(call(1), { claimed: true }))).toBe(false);
    expect(begins(new Course("all").up({ method: "notifications/x" }))).toBe(true);
    const gap = new Course();
    expect(begins(gap.ledger.take({ kind: "gap", ...gap.next(), fromTime: 0, frames: 1, bytes: 1 }))).toBe(true);
    const close = new Course();
    expect(begins(close.ledger.take({ kind: "close", ...close.next(), reason: "bye" }))).toBe(false);
  });

  test("has client facts only from a valid initialize of the client", () => {
    const course = new Course();
    course.down(initialize);
    course.up({ ...initialize, method: "ping" });
    course.up({ id: 0, method: "initialize", params: { clientInfo: { name: 7, version: null } } });
    course.down({ id: 0, result: { protocolVersion: 7 } });
    course.up({ id: 0, method: "initialize", params: "none" });
    course.down({ id: 0, result: "none" });
    expect(course.ledger.sessions[0]?.client).toStrictEqual({});
    course.up({ id: 1, method: "ping" });
    course.down({ id: 1, result: { protocolVersion: "2025-11-25" } });
    course.up({ id: 2, method: "initialize", params: {} });
    expect(course.ledger.sessions[0]?.client).toStrictEqual({});
  });
});

describe("entries", () => {
  test("count once, however often they are read", () => {
    const course = new Course();
    const entry: Entry = { kind: "frame", ...course.next(), direction: "up", frame: JSON.stringify(call(1)) };
    expect(course.ledger.take(entry)).toBeDefined();
    expect(course.ledger.take(entry)).toBeUndefined();
    course.ledger.take({ ...open, upstream: "another" });
    expect(course.ledger.sessions).toMatchObject([{ open: { upstream: "tools" }, lastSequence: 1, lastTime: 1001 }]);
  });

  test("of a closed session leave nothing open", () => {
    const course = new Course();
    expect(course.ledger.has("s")).toBe(true);
    course.ledger.take({ kind: "close", ...course.next(), reason: "bye" });
    expect([course.ledger.has("s"), course.ledger.sessions]).toEqual([false, []]);
  });

  test("of a session whose opening is damaged are recorded, including answers to lost requests", () => {
    const ledger = new Ledger();
    const frame = JSON.stringify({ jsonrpc: "2.0", ...answer(1) });
    const noted = ledger.take({ kind: "frame", session: "lost", sequence: 5, time: 7, direction: "down", frame });
    expect(recorded(noted)).toEqual([true]);
    expect(noted?.session.open).toEqual({
      kind: "open",
      session: "lost",
      time: 7,
      upstream: "unknown",
      record: "calls",
      wire: "unknown",
    });
    expect(ledger.has("lost")).toBe(true);
  });

  test("nested too deeply to look through begin the conversation, and do not block later entries", () => {
    const course = new Course();
    const view = { kind: "request", id: 1, key: "1", method: "tools/call" } as const;
    const message = new Proxy(
      {},
      {
        get: () => {
          throw new RangeError("Maximum call stack size exceeded");
        },
      },
    );
    const entry: Entry = { kind: "frame", ...course.next(), direction: "up", frame: "" };
    const noted = course.ledger.take(entry, { ...view, message });
    expect([noted?.messages, noted?.begins]).toEqual([undefined, true]);
    expect(recorded(course.up(call(2)))).toEqual([true]);
  });
});

describe("a state", () => {
  /** The state of a ledger, as read back from disk. */
  const state = (ledger: Ledger) => JSON.parse(JSON.stringify(ledger.state())) as StateEntry;

  function begun(): Course {
    const course = new Course();
    course.up({ id: 0, method: "initialize", params: { clientInfo: { name: "clio" } } });
    course.down(answer(0));
    course.up(call(1, "slow"));
    return course;
  }

  test("gives another ledger the same content", () => {
    const course = begun();
    const other = new Ledger();
    other.take(state(course.ledger));
    expect(state(other)).toEqual(state(course.ledger));
    const [session] = other.sessions;
    expect(session).toMatchObject({ begun: true, client: { name: "clio" }, lastSequence: 3, hasGap: false });
    expect(session?.calls.unanswered()).toMatchObject([{ method: "tools/call", tool: "slow", time: 1003 }]);
  });

  test("ends sessions that it does not contain, whose close was lost to damage", () => {
    const other = new Course("calls");
    other.ledger.take({ kind: "state", sessions: [] });
    expect(other.ledger.sessions).toEqual([]);
  });

  test("begins conversations again if earlier entries may be missing, and only the first state does", () => {
    const before = state(begun().ledger);
    const ledger = new Ledger({ beginsAnew: true });
    ledger.take(before);
    expect(ledger.sessions[0]?.begun).toBe(false);
    ledger.take(before);
    expect(ledger.sessions[0]?.begun).toBe(true);
    const sure = new Ledger();
    sure.take(before);
    expect(sure.sessions[0]?.begun).toBe(true);
  });
});
