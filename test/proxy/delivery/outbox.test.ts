import { afterEach, beforeEach, describe, expect, spyOn, test } from "bun:test";
import { mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { ToolClient, WENT_AWAY } from "../../../src/tool-client.ts";
import { DeweyError } from "../../../src/errors.ts";
import { createLog } from "../../../src/log.ts";
import { Outbox } from "../../../src/proxy/delivery/outbox.ts";
import type { Delivery } from "../../../src/proxy/delivery/record.ts";
import { Suspects } from "../../../src/proxy/delivery/suspects.ts";
import { SetAside } from "../../../src/proxy/delivery/set-aside.ts";
import { stopClock } from "../../support/clock.ts";
import type { StoppedClock } from "../../support/clock.ts";
import { quiet } from "../../support/quiet.ts";
import { until } from "../../support/rpc.ts";
import { ScriptedStore, away, pausesBetween, refusing, take } from "../../support/scripted-store.ts";
import { spoolFolder } from "../../support/spool-folder.ts";

let clock: StoppedClock;
let store: ScriptedStore;
let folder: ReturnType<typeof spoolFolder>;
let setAside: SetAside;
let random: ReturnType<typeof spyOn<Math, "random">>;
let log: string[];
let outbox: Outbox;

beforeEach(() => {
  clock = stopClock();
  random = spyOn(Math, "random").mockReturnValue(0);
  store = new ScriptedStore();
  folder = spoolFolder();
  mkdirSync(folder.path);
  setAside = new SetAside(folder.path);
  log = [];
  outbox = new Outbox({
    client: store,
    setAside,
    suspects: new Suspects(folder.path, Infinity),
    log: createLog({ level: "info", format: "json", write: (line) => log.push(line) }),
  });
});
afterEach(() => {
  random.mockRestore();
  clock[Symbol.dispose]();
  folder[Symbol.dispose]();
});

const message = (conversation: string, content: string): Delivery => ({
  kind: "message",
  conversation,
  message: {
    message_id: `${conversation}-${content.slice(0, 20)}`,
    role: "user",
    content,
    created_at: "",
    metadata: {},
  },
});
const begin = (conversation: string): Delivery => ({ kind: "begin", conversation, metadata: {} });

/** Puts messages into an outbox. The result counts those that are settled. */
function put(conversation: string, contents: string[], into = outbox): { settled: number } {
  const counts = { settled: 0 };
  for (const content of contents) into.put(message(conversation, content), () => (counts.settled += 1));
  return counts;
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => `${index}`);
const events = (event: string) => log.filter((line) => line.includes(event)).length;

describe("delivery", () => {
  test("sends deliveries that arrive together in one call, in order", async () => {
    const counts = put("one", numbers(100));
    await clock.passUntil("all of them", () => counts.settled === 100);
    expect(store.taken.map(({ tool, contents }) => [tool, contents])).toEqual([
      ["dewey_store_messages_bulk", numbers(100)],
    ]);
    expect(outbox).toMatchObject({ delivered: 100, lastError: undefined });
    expect(Date.now() - (outbox.lastDelivery ?? 0)).toBeWithin(0, 10);
  });

  test("has up to eight calls in flight, one per conversation", async () => {
    const arrived = Promise.withResolvers<void>();
    store.answer = () => arrived.promise;
    for (const conversation of numbers(20)) put(conversation, ["first"]);
    await clock.pass(10);
    for (const conversation of numbers(20)) put(conversation, ["second"]);
    await clock.pass(10);
    expect([store.calls.length, outbox.isQuiet]).toEqual([8, false]);
    arrived.resolve();
    await clock.passUntil("all of them", () => outbox.isQuiet);
    expect(store.mostInFlight).toBe(8);
    for (const conversation of numbers(20)) expect(store.contentsOf(conversation)).toEqual(["first", "second"]);
  });

  test("is full at 32 MB, and tells when it has room again", async () => {
    store.answer = away;
    const large = "x".repeat(1_000_000);
    let count = 0;
    const isFull = () => outbox.isFull;
    for (; !isFull(); count++) put(`${count % 3}`, [large]);
    expect(count).toBe(32);
    let isRoomy = false;
    void outbox.room().then(() => (isRoomy = true));
    await clock.pass(1000);
    expect(isRoomy).toBe(false);
    store.answer = take;
    await clock.passUntil("room", () => isRoomy);
    expect(isFull()).toBe(false);
    await clock.passUntil("all of them", () => outbox.delivered === count);
    // Delivered messages no longer take memory.
    for (let again = 0; again < count - 1; again++) put("again", [large]);
    expect(isFull()).toBe(false);
  });

  test("is full at 50,000 deliveries, however small", async () => {
    put("small", numbers(49_999));
    expect(outbox.isFull).toBe(false);
    put("small", ["last"]);
    expect(outbox.isFull).toBe(true);
    await clock.passUntil("all of them", () => outbox.delivered === 50_000);
    expect(outbox.isFull).toBe(false);
    put("more", numbers(49_999));
    expect(outbox.isFull).toBe(false);
    put("more", ["last"]);
    expect(outbox.isFull).toBe(true);
  });

  test("sends nothing after a stop, and ignores the success of calls in flight", async () => {
    const arrived = Promise.withResolvers<void>();
    store.answer = () => arrived.promise;
    const counts = put("one", ["1"]);
    await clock.pass(1);
    put("one", ["2"]);
    put("other", ["1"]);
    outbox.stop();
    arrived.resolve();
    await clock.pass(1000);
    expect([store.calls.length, counts.settled, outbox.delivered]).toEqual([1, 0, 0]);
  });

  test("ignores the failure of calls in flight after a stop", async () => {
    const failed = Promise.withResolvers<void>();
    store.answer = () => failed.promise;
    put("one", ["1"]);
    await clock.pass(1);
    outbox.stop();
    failed.reject(new DeweyError("invalid", "the connection was closed"));
    await clock.pass(1000);
    expect([outbox.aside, outbox.lastError, log]).toEqual([0, undefined, []]);
  });
});

describe("an unavailable store", () => {
  test("is probed by one call at a time, with pauses that double up to 15 seconds", async () => {
    store.answer = away;
    for (const conversation of numbers(100)) put(conversation, ["1"]);
    await clock.pass(70_000, 100);
    expect(store.mostInFlight).toBe(8);
    // Eight calls went out before any of them failed.
    expect(pausesBetween(store.calls.slice(7)).slice(0, 9)).toEqual([
      100, 200, 400, 800, 1600, 3200, 6400, 12_800, 15_000,
    ]);
    expect([outbox.lastError, outbox.isQuiet]).toEqual(["not now", true]);
    expect(events("records wait on disk")).toBe(1);
  });

  test("is probed with jitter, up to doubling each pause, so that many proxies do not retry together", async () => {
    random.mockReturnValue(0.5);
    store.answer = away;
    put("one", ["1"]);
    await clock.pass(5000);
    expect(store.pausesOf("one").slice(0, 4)).toEqual([150, 300, 600, 1200]);
  });

  test("gets everything in order once it recovers; the next outage begins with a short pause again", async () => {
    store.answer = away;
    for (const conversation of numbers(10)) put(conversation, ["1", "2"]);
    await clock.pass(30_000, 100);
    store.answer = take;
    await clock.passUntil("all of them", () => outbox.delivered === 20);
    for (const conversation of numbers(10)) expect(store.contentsOf(conversation)).toEqual(["1", "2"]);
    expect([outbox.lastError, events("delivery resumed")]).toEqual([undefined, 1]);
    const before = store.calls.length;
    store.answer = away;
    put("next", ["1"]);
    await clock.pass(1000);
    expect(store.pausesOf("next").slice(0, 2)).toEqual([100, 200]);
    expect(store.calls.length - before).toBe(4);
    expect(events("records wait on disk")).toBe(2);
  });

  test("gets large calls again soon after it recovers, however often they failed", async () => {
    store.answer = away;
    put("long", numbers(200));
    await clock.pass(60_000, 100);
    store.answer = take;
    await clock.passUntil("all of them", () => outbox.delivered === 200);
    expect(store.contentsOf("long")).toEqual(numbers(200));
    expect(store.taken.length).toBeLessThanOrEqual(8);
    expect(store.taken.at(-1)?.contents.length).toBeGreaterThan(50);
  });

  test("gets half as many messages per call from the second failure on, down to one", async () => {
    store.answer = away;
    put("long", numbers(64));
    await clock.pass(60_000, 100);
    const sizes = store.calls.map(({ contents }) => contents.length);
    expect(sizes.slice(0, 9)).toEqual([64, 64, 32, 16, 8, 4, 2, 1, 1]);
  });

  test("is not taken for one that fails on a single record when it fails again after a success", async () => {
    let calls = 0;
    store.answer = (call) => {
      calls += 1;
      if (calls !== 2) return away(call);
    };
    outbox.put(begin("one"), () => {});
    put("one", ["1"]);
    await clock.pass(60_000, 100);
    expect(store.taken).toHaveLength(1);
    expect(events("while it takes others")).toBe(0);
  });

  test("costs no record, however long the outage", async () => {
    for (const code of ["unavailable", "internal", "unauthorized"] as const) {
      store.answer = () => {
        throw new DeweyError(code, "not now");
      };
      for (const conversation of ["a", "b", "c"]) put(`${code} ${conversation}`, ["1", "2"]);
      await clock.pass(1_300_000, 100);
      store.answer = take;
      await clock.passUntil("all of them", () => outbox.isQuiet && outbox.lastError === undefined);
      for (const conversation of ["a", "b", "c"])
        expect(store.contentsOf(`${code} ${conversation}`)).toEqual(["1", "2"]);
    }
    expect([outbox.aside, setAside.isThere]).toEqual([0, false]);
  });
});

describe("a record on which the store fails while it takes others", () => {
  /** Another conversation, from which the store takes a record at every interval. */
  function ticking(intervalMs = 1000): Disposable {
    const timer = setInterval(() => put("ticking", ["tick"]), intervalMs);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }

  test("is set aside after ten minutes, and blocks no other conversation until then", async () => {
    store.answer = refusing("unavailable");
    using _ = ticking();
    const stuck = put("stuck", ["first", "bad", "last"]);
    await clock.pass(600_000, 100);
    expect([stuck.settled, outbox.aside]).toEqual([1, 0]);
    expect(store.contentsOf("ticking").length).toBeGreaterThan(595);
    await clock.pass(60_000, 100);
    expect([stuck.settled, outbox.aside]).toEqual([3, 1]);
    expect(store.contentsOf("stuck")).toEqual(["first", "last"]);
    expect(JSON.parse(readFileSync(setAside.file, "utf8"))).toMatchObject({
      reason: "it failed in repeated attempts: the reason",
      tool: "dewey_store_messages_bulk",
      arguments: { conversation_id: "stuck", messages: [{ content: "bad" }] },
    });
    expect(events("fails on a record while it takes others")).toBe(1);
  });

  test("is retried after pauses that double up to 15 seconds, plus jitter", async () => {
    store.answer = refusing("unavailable");
    using _ = ticking(20);
    put("stuck", ["bad"]);
    await clock.pass(90_000, 100);
    // The first failures count as the store's.
    const pauses = store.pausesOf("stuck");
    const doubled = pauses.slice(pauses.indexOf(400));
    expect(doubled.slice(0, 8)).toEqual([400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000]);
    random.mockReturnValue(0.5);
    await clock.pass(60_000, 100);
    expect(store.pausesOf("stuck").at(-1)).toBe(22_500);
  });

  test("is set aside after one minute when the records behind it fill half of the memory", async () => {
    store.answer = refusing("unavailable");
    using _ = ticking();
    for (const [crowd, isHalf] of [
      [["x".repeat(15_000_000)], false],
      [["x".repeat(16_000_000)], true],
      [numbers(24_000), false],
      [numbers(25_000), true],
    ] as const) {
      const aside = outbox.aside;
      const stuck = put(`${crowd.length} ${isHalf}`, ["bad", ...crowd]);
      await clock.pass(60_000, 100);
      expect([stuck.settled, outbox.aside]).toEqual([0, aside]);
      await clock.pass(60_000, 100);
      expect([stuck.settled, outbox.aside - aside]).toEqual(isHalf ? [1 + crowd.length, 1] : [0, 0]);
      store.answer = take;
      await clock.passUntil("all of them", () => stuck.settled === 1 + crowd.length, 100);
      store.answer = refusing("unavailable");
    }
  });

  test("is not set aside before its fourth failure, however long that takes", async () => {
    let attempts = 0;
    store.answer = async (call) => {
      if (!call.contents.includes("bad")) return;
      attempts += 1;
      await Bun.sleep(400_000);
      throw new DeweyError("unavailable", "late");
    };
    using _ = ticking();
    put("stuck", ["bad"]);
    await clock.pass(2_500_000, 100);
    // The first two failures count as the store's.
    expect([attempts, outbox.aside]).toEqual([6, 1]);
  });

  test("does not count failures from before its conversation's last success", async () => {
    store.answer = refusing("unavailable");
    using _ = ticking();
    put("stuck", ["bad", "bad"]);
    await clock.pass(500_000, 100);
    let isTaken = false;
    store.answer = (call) => {
      if (isTaken) return refusing("unavailable")(call);
      isTaken = call.conversation === "stuck";
    };
    await clock.passUntil("one of them", () => isTaken, 100);
    const pauses = store.pausesOf("stuck").length;
    await clock.pass(500_000, 100);
    expect(outbox.aside).toBe(0);
    // The pauses begin short again as well.
    for (const pause of store.pausesOf("stuck").slice(pauses, pauses + 4)) expect(pause).toBeLessThan(2000);
    await clock.pass(200_000, 100);
    expect(outbox.aside).toBe(1);
  });

  test("is not set aside early because of records that were already delivered", async () => {
    store.answer = refusing("unavailable");
    using _ = ticking();
    const stuck = put("stuck", ["x".repeat(15_000_000), "bad", "x".repeat(2_000_000)]);
    await clock.pass(300_000, 100);
    expect([stuck.settled, outbox.aside]).toEqual([1, 0]);
  });

  test("is isolated by halving the calls; the other records are taken in order", async () => {
    store.answer = refusing("unavailable");
    using _ = ticking();
    const contents = numbers(64).with(20, "bad");
    const counts = put("long", contents);
    await clock.pass(900_000, 100);
    expect([counts.settled, outbox.aside]).toEqual([64, 1]);
    expect(store.contentsOf("long")).toEqual(contents.filter((content) => content !== "bad"));
  });
});

describe("a record after whose delivery the server goes away", () => {
  /** Goes away while a call brings a message "bad". */
  const poisoned: typeof store.answer = ({ contents }) => {
    if (contents.includes("bad")) throw new DeweyError("unavailable", "it closed", { cause: WENT_AWAY });
  };
  const again = () =>
    new Outbox({ client: store, setAside, suspects: new Suspects(folder.path, Infinity), log: quiet });
  const reason = /went away three times/;

  test("is set aside after the third time, and the rest of its conversation goes on", async () => {
    store.answer = poisoned;
    const counts = put("one", ["1", "2", "bad", "3", "4"]);
    await clock.passUntil("all of them", () => counts.settled === 5, 10);
    expect(store.contentsOf("one")).toEqual(["1", "2", "3", "4"]);
    expect(outbox.aside).toBe(1);
    expect(JSON.parse(readFileSync(setAside.file, "utf8"))).toMatchObject({ reason: expect.stringMatching(reason) });
    // Once in the call with the others, and three times alone.
    expect(
      store.calls.filter(({ contents }) => contents.includes("bad")).map(({ contents }) => contents.length),
    ).toEqual([5, 1, 1, 1]);
    expect(readdirSync(folder.path)).not.toContain("suspects");
  });

  test("is found among many that were in flight with it, of which none is lost", async () => {
    store.answer = poisoned;
    const counts = numbers(20).map((conversation) => put(conversation, ["1", conversation === "3" ? "bad" : "2", "3"]));
    await clock.passUntil("all of them", () => counts.every(({ settled }) => settled === 3), 10);
    expect(outbox.aside).toBe(1);
    for (const conversation of numbers(20))
      expect(store.contentsOf(conversation)).toEqual(conversation === "3" ? ["1", "3"] : ["1", "2", "3"]);
  });

  test("is one of several, in as many conversations", async () => {
    store.answer = poisoned;
    const counts = numbers(6).map((conversation) => put(conversation, ["1", Number(conversation) % 2 ? "bad" : "2"]));
    let arrived = 0;
    const all = () => {
      put("live", [`${(arrived += 1)}`]);
      return counts.every(({ settled }) => settled === 2);
    };
    await clock.passUntil("all of them", all, 500);
    expect(outbox.aside).toBe(3);
  });

  test("is counted across restarts of the proxy", async () => {
    store.answer = poisoned;
    for (let restart = 0; restart < 2; restart += 1) {
      const calls = store.calls.length;
      const outbox = again();
      put("one", ["bad"], outbox);
      await clock.passUntil("a call", () => store.calls.length > calls, 10);
      await clock.pass(10);
      outbox.stop();
      expect(outbox.aside).toBe(0);
    }
    const last = again();
    const counts = put("one", ["bad"], last);
    await clock.passUntil("its end", () => counts.settled === 1, 10);
    expect([store.calls.length, last.aside]).toEqual([3, 1]);
  });

  test("is not at fault when the server goes away whatever is delivered", async () => {
    store.answer = () => {
      throw new DeweyError("unavailable", "it closed", { cause: WENT_AWAY });
    };
    const counts = numbers(3).map((conversation) => put(conversation, ["1", "2"]));
    await clock.pass(250_000, 100);
    expect([store.calls.length > 12, outbox.aside]).toEqual([true, 0]);
    store.answer = take;
    await clock.passUntil("all of them", () => counts.every(({ settled }) => settled === 2), 100);
    expect(readdirSync(folder.path)).not.toContain("suspects");
  });

  test("is not at fault when it is taken the third time", async () => {
    let deaths = 0;
    store.answer = () => {
      deaths += 1;
      if (deaths !== 3 && deaths < 6) throw new DeweyError("unavailable", "it closed", { cause: WENT_AWAY });
    };
    const counts = put("one", ["1", "2"]);
    await clock.passUntil("all of them", () => counts.settled === 2, 100);
    expect(outbox.aside).toBe(0);
  });
});

describe("a record that the store refuses", () => {
  test("is isolated in few calls and set aside; the other records are taken in order", async () => {
    store.answer = refusing("invalid");
    const contents = numbers(200).with(77, "bad");
    const counts = put("long", contents);
    await clock.passUntil("all of them", () => counts.settled === 200);
    expect(store.contentsOf("long")).toEqual(contents.filter((content) => content !== "bad"));
    expect(outbox.aside).toBe(1);
    expect(JSON.parse(readFileSync(setAside.file, "utf8"))).toMatchObject({ reason: "the reason" });
    expect(store.calls.length).toBeLessThanOrEqual(30);
    const sizes = store.calls.map((call) => call.contents.length);
    expect(sizes.slice(0, 3)).toEqual([200, 100, 50]);
    // No pauses, since the store is available.
    expect(clock.nowMs).toBeLessThan(100);
    expect(outbox.lastError).toBeUndefined();
  });

  test("is retried every 15 seconds while it cannot be set aside", async () => {
    rmSync(folder.path, { recursive: true });
    store.answer = refusing("conflict");
    const counts = put("one", ["bad"]);
    await clock.pass(50_000, 100);
    expect(store.pausesOf("one")).toEqual([15_000, 15_000, 15_000]);
    expect([counts.settled, outbox.aside]).toEqual([0, 0]);
    mkdirSync(folder.path);
    await clock.passUntil("its end", () => counts.settled === 1);
    expect([outbox.aside, setAside.isThere]).toEqual([1, true]);
  });

  test("is dropped and counted when its conversation was permanently deleted", async () => {
    store.answer = refusing("not_found", "conversation_id");
    const counts = put("gone", ["bad", "2", "3"]);
    await clock.passUntil("all of them", () => counts.settled === 3);
    expect(outbox).toMatchObject({ dropped: 3, aside: 0, delivered: 0 });
    expect(log.join("")).toContain('"records":3');
  });

  test("is set aside when something else was not found", async () => {
    store.answer = refusing("not_found", "message_id");
    const counts = put("one", ["bad"]);
    await clock.passUntil("its end", () => counts.settled === 1);
    expect(outbox).toMatchObject({ dropped: 0, aside: 1 });
  });

  test("is ignored when it begins a conversation that exists already", async () => {
    store.answer = ({ tool }) => {
      if (tool === "dewey_begin_conversation") throw new DeweyError("conflict", "is there already");
    };
    let begun = 0;
    outbox.put(begin("one"), () => (begun += 1));
    const counts = put("one", ["1"]);
    await clock.passUntil("the message", () => counts.settled === 1);
    expect([begun, outbox.aside, setAside.isThere]).toEqual([1, 0, false]);
    expect(store.calls.map(({ tool }) => tool)).toEqual(["dewey_begin_conversation", "dewey_store_messages_bulk"]);
  });

  test("is set aside when it begins a conversation and is refused for another reason", async () => {
    store.answer = ({ tool }) => {
      if (tool === "dewey_begin_conversation") throw new DeweyError("invalid", "has no such field");
    };
    let begun = 0;
    outbox.put(begin("one"), () => (begun += 1));
    await clock.passUntil("its end", () => begun === 1);
    expect(outbox.aside).toBe(1);
  });
});

describe("withdrawing", () => {
  test("forgets what a sender has put, settles none of it, and leaves others' records", async () => {
    const [mine, other] = [{}, {}];
    let settled = 0;
    store.answer = away;
    for (const content of ["a", "b"]) outbox.put(message("one", content), () => (settled += 1), mine);
    outbox.put(message("two", "c"), () => (settled += 1), other);
    await clock.pass(50);
    outbox.withdraw(mine);
    store.answer = take;
    await clock.passUntil("the other's", () => settled === 1);
    await clock.pass(30_000, 100);
    expect([store.contentsOf("one"), store.contentsOf("two"), settled]).toEqual([[], ["c"], 1]);
    // The conversation goes on with its next record.
    outbox.put(message("one", "d"), () => (settled += 1), other);
    await clock.passUntil("the next", () => settled === 2);
    expect(store.contentsOf("one")).toEqual(["d"]);
  });

  test("lets a call in flight end, and repeats it for nobody when it fails", async () => {
    const mine = {};
    const gate = Promise.withResolvers<void>();
    store.answer = () => gate.promise;
    outbox.put(message("one", "a"), () => {}, mine);
    await clock.passUntil("the call", () => store.calls.length === 1);
    outbox.withdraw(mine);
    outbox.put(message("one", "b"), () => {}, {});
    store.answer = take;
    gate.reject(new DeweyError("invalid", "wrong"));
    await clock.passUntil("the next", () => store.contentsOf("one").length === 1);
    expect([store.contentsOf("one"), outbox.aside, outbox.isQuiet]).toEqual([["b"], 0, true]);
  });

  test("makes room", async () => {
    const mine = {};
    store.answer = away;
    const large = "x".repeat(20_000_000);
    for (const content of ["a", "b"]) outbox.put(message(content, content + large), () => {}, mine);
    expect(outbox.isFull).toBe(true);
    const room = outbox.room();
    await clock.pass(50);
    outbox.withdraw(mine);
    await room;
    expect(outbox.isFull).toBe(false);
  });
});

test("over a real connection nothing is lost, whatever a faulty store replies", async () => {
  clock[Symbol.dispose]();
  const faults = ["unavailable", "internal", "garbage", "silence", "hang up"] as const;
  await Promise.all(
    faults.map(async (fault) => {
      using faulty = startFaultyStore(fault);
      const client = new ToolClient({ url: faulty.url, deadlineMs: 200 });
      const outbox = new Outbox({ client, setAside, suspects: new Suspects(folder.path, Infinity), log: quiet });
      const counts = ["a", "b", "c"].map((conversation) => put(conversation, ["1", "2"], outbox));
      await until("several attempts", () => faulty.calls >= 5);
      expect(outbox.lastError).toBeString();
      faulty.isWell = true;
      await until("all of them", () => counts.every(({ settled }) => settled === 2));
      for (const conversation of ["a", "b", "c"]) expect(faulty.taken.get(conversation)).toEqual(["1", "2"]);
      expect([outbox.aside, outbox.lastError, setAside.isThere]).toEqual([0, undefined, false]);
      await client.close();
    }),
  );
});

/** A WebSocket server that replies like a store, except for a fault until `isWell` is set. */
function startFaultyStore(fault: "unavailable" | "internal" | "garbage" | "silence" | "hang up") {
  const taken = new Map<string, string[]>();
  const faulty = { url: "", calls: 0, isWell: false, taken, [Symbol.dispose]: () => void server.stop(true) };
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request, server) => (server.upgrade(request) ? undefined : new Response(null, { status: 400 })),
    websocket: {
      message(socket, text) {
        const { id, method, params } = JSON.parse(String(text));
        const answer = (result: object) => socket.send(JSON.stringify({ jsonrpc: "2.0", id, result }));
        if (method === "initialize") answer({ serverInfo: { name: "dewey" } });
        if (method !== "tools/call") return;
        faulty.calls += 1;
        const { conversation_id, messages } = params.arguments;
        if (faulty.isWell) {
          const contents = messages.map((each: { content: string }) => each.content);
          taken.set(conversation_id, [...(taken.get(conversation_id) ?? []), ...contents]);
          answer({ structuredContent: {} });
        } else if (fault === "garbage") {
          socket.send("what?");
          answer({ content: "none" });
        } else if (fault === "hang up") socket.close();
        else if (fault !== "silence") {
          const error = JSON.stringify({ error: { code: fault, message: "not now" } });
          answer({ isError: true, content: [{ text: error }] });
        }
      },
    },
  });
  faulty.url = `ws://127.0.0.1:${server.port}/`;
  return faulty;
}
