import { describe, expect, test } from "bun:test";
import { MAX_FRAME_BYTES } from "../../../src/wire/frame.ts";
import { STALL_LIMIT_MS } from "../../../src/wire/limits.ts";
import { stopClock } from "../../support/clock.ts";
import { createLog } from "../../../src/log.ts";
import { RelayedStream } from "../../../src/proxy/relay/relayed-stream.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const answer = (id: unknown) => `data: ${JSON.stringify({ jsonrpc: "2.0", id, result: {} })}\n\n`;

/** A relayed stream whose upstream the test plays, and a log of its events. */
function relay(unanswered: unknown[] = [], take?: (frame: string) => Promise<void>) {
  const taken: string[] = [];
  const log: string[] = [];
  let upstream: ReadableStreamDefaultController<Uint8Array> | undefined;
  const ends = { over: 0, cancelled: [] as unknown[] };
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      upstream = controller;
    },
    cancel: (reason) => void ends.cancelled.push(reason),
  });
  const { stream } = new RelayedStream(body, {
    unanswered,
    refusal: (id) => `refused ${JSON.stringify(id)}`,
    take: async (frame) => {
      await take?.(frame);
      taken.push(frame);
    },
    over: () => (ends.over += 1),
    log: createLog({ level: "info", format: "json", write: (line) => log.push(line) }),
  });
  return {
    taken,
    log,
    ends,
    reader: stream.getReader(),
    say: (text: string) => upstream?.enqueue(encoder.encode(text)),
    close: () => upstream?.close(),
    fail: () => upstream?.error(new Error("ECONNRESET")),
  };
}

/** The rest of what the client reads. */
async function rest({ reader }: ReturnType<typeof relay>): Promise<string> {
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += decoder.decode(value);
  }
}

describe("an event stream on its way to the client", () => {
  test("passes unchanged, in the same chunks, and the tap sees its frames", async () => {
    const relayed = relay();
    const chunks = [
      ": a comment\n",
      "\nevent: x\r\ndata: one\r\n\r\ndata: t",
      "wo\ndata: lines\n\nretry: 7\n\n",
      "id: 5\n\n",
    ];
    for (const chunk of chunks) relayed.say(chunk);
    relayed.close();
    for (const chunk of chunks) expect(decoder.decode((await relayed.reader.read()).value)).toBe(chunk);
    expect((await relayed.reader.read()).done).toBe(true);
    expect(relayed.taken).toEqual(["one", "two\nlines"]);
    expect([relayed.ends, relayed.log]).toEqual([{ over: 1, cancelled: [] }, []]);
  });

  test("passes an event only once the tap has taken it", async () => {
    const gate = Promise.withResolvers<void>();
    const relayed = relay([], () => gate.promise);
    relayed.say("data: one\n\n");
    let isRead = false;
    const reading = relayed.reader.read().then(() => (isRead = true));
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    expect(isRead).toBe(false);
    gate.resolve();
    await reading;
    expect(relayed.taken).toEqual(["one"]);
  });

  test("does not show the tap events without data", async () => {
    const relayed = relay();
    relayed.say("id: 1\ndata: \n\n");
    relayed.close();
    expect(await rest(relayed)).toBe("id: 1\ndata: \n\n");
    expect(relayed.taken).toEqual([]);
  });

  test("is cancelled at the upstream when the client leaves", async () => {
    const relayed = relay([1]);
    relayed.say(answer(2));
    await relayed.reader.read();
    await relayed.reader.cancel("bye");
    expect([relayed.ends, relayed.log]).toEqual([{ over: 1, cancelled: ["bye"] }, []]);
  });
});

describe("an event stream whose client reads slowly", () => {
  const chunk = `data: ${"x".repeat(4_000_000)}\n\n`;

  test("is kept while the client takes part of a large chunk within the limit, and given up when it takes none", async () => {
    using clock = stopClock();
    const relayed = relay();
    relayed.say(chunk);
    let bytes = 0;
    while (bytes < 3_000_000) {
      bytes += (await relayed.reader.read()).value?.length ?? 0;
      await clock.pass(STALL_LIMIT_MS, 1000);
      expect(relayed.ends.over).toBe(0);
    }
    await clock.pass(STALL_LIMIT_MS, 1000);
    expect(relayed.ends).toEqual({ over: 1, cancelled: ["the client takes nothing"] });
    expect(await relayed.reader.read().catch(String)).toContain("the client takes nothing");
  });

  test("is kept while the upstream is silent", async () => {
    using clock = stopClock();
    const relayed = relay();
    relayed.say(chunk);
    relayed.say(answer(1));
    for (let bytes = 0; bytes < chunk.length + answer(1).length;)
      bytes += (await relayed.reader.read()).value?.length ?? 0;
    await clock.pass(5 * STALL_LIMIT_MS, 1000);
    expect(relayed.ends.over).toBe(0);
    relayed.close();
    expect(await rest(relayed)).toBe("");
  });
});

describe("an event stream that breaks", () => {
  test("ends with an error for each open request, through the tap", async () => {
    const relayed = relay([1, "1", 2, 3]);
    relayed.say(answer(2));
    relayed.say(
      `data: [${JSON.stringify({ jsonrpc: "2.0", id: 3, result: {} })}]\n\ndata: {"jsonrpc":"2.0","id":1,"met`,
    );
    for (let chunks = 0; chunks < 2; chunks++) await relayed.reader.read();
    relayed.fail();
    const refusal = (id: string) => `\n\nevent: message\ndata: refused ${id}\n\n`;
    expect(await rest(relayed)).toBe(refusal("1") + refusal('"1"'));
    expect(relayed.taken.slice(2)).toEqual(["refused 1", 'refused "1"']);
    expect([relayed.ends.over, relayed.log.length]).toEqual([1, 1]);
    expect(relayed.log[0]).toMatch(/an event stream of the upstream broke.*"unanswered":2.*ECONNRESET/);
  });

  test("ends without errors when the client can resume from the id of an event", async () => {
    const relayed = relay([1]);
    relayed.say(`id: 7\n${answer(2)}${answer(3)}`);
    await relayed.reader.read();
    relayed.fail();
    expect(await rest(relayed)).toBe("");
    expect([relayed.taken.length, relayed.ends.over]).toEqual([2, 1]);
  });

  test("ends without errors when every request is answered", async () => {
    const relayed = relay([1]);
    relayed.say(answer(1));
    await relayed.reader.read();
    relayed.fail();
    expect(await rest(relayed)).toBe("");
  });

  test("is read no further when an event is larger than the largest frame", async () => {
    const relayed = relay([1]);
    relayed.say(`data: ${"x".repeat(MAX_FRAME_BYTES)}`);
    expect(await rest(relayed)).toBe("\n\nevent: message\ndata: refused 1\n\n");
    expect([relayed.ends.over, relayed.ends.cancelled.length]).toEqual([1, 1]);
  });
});
