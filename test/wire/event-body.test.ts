import { describe, expect, test } from "bun:test";
import { EventBody } from "../../src/wire/event-body.ts";
import type { EventBodyOptions } from "../../src/wire/event-body.ts";
import { stopClock } from "../support/clock.ts";
import { MAX_QUEUE_BYTES } from "../../src/wire/limits.ts";

function open(options: Partial<EventBodyOptions> = {}) {
  const counts = { taken: 0, over: 0 };
  const over = Promise.withResolvers<void>();
  const body = new EventBody({
    taken: () => void (counts.taken += 1),
    over() {
      counts.over += 1;
      over.resolve();
    },
    ...options,
  });
  return { body, counts, over: over.promise };
}

const textOf = async (body: EventBody) => Bun.readableStreamToText(body.stream);

describe("the body of an event stream", () => {
  test("is what was written, and ends when it is read", async () => {
    const { body, counts, over } = open();
    body.write("é漢");
    expect(body.queuedBytes).toBe(5);
    const read = textOf(body);
    body.write("🙂");
    body.end();
    body.write("after the end");
    expect(await read).toBe("é漢🙂");
    await over;
    expect([body.queuedBytes, counts.over]).toEqual([0, 1]);
    expect(counts.taken).toBeGreaterThan(0);
  });

  test("answers a read that waits when something is written, and when it ends", async () => {
    const { body } = open();
    const reader = body.stream.getReader();
    const first = reader.read();
    await Bun.sleep(1);
    body.write("x");
    expect((await first).value).toEqual(new TextEncoder().encode("x"));
    const second = reader.read();
    await Bun.sleep(1);
    body.end();
    expect((await second).done).toBe(true);
  });

  test("that is empty ends at once", async () => {
    const { body, counts } = open();
    const read = textOf(body);
    body.end();
    expect(await read).toBe("");
    expect(counts.over).toBe(1);
  });

  test("is read in chunks of at most 256 KiB, so that a slow client makes progress", async () => {
    const { body, counts } = open();
    body.write("x".repeat(600_000));
    const reader = body.stream.getReader();
    const sizes: number[] = [];
    for (let count = 0; count < 3; count += 1) sizes.push((await reader.read()).value?.length ?? 0);
    expect(sizes).toEqual([262_144, 262_144, 75_712]);
    expect([counts.taken, body.queuedBytes]).toEqual([3, 0]);
    await reader.cancel();
  });

  test("is over when the client leaves", async () => {
    const { body, counts } = open();
    body.write("x");
    await body.stream.cancel();
    expect([body.queuedBytes, counts.over]).toEqual([0, 1]);
    body.write("y");
    expect(body.queuedBytes).toBe(0);
  });

  test("is broken off when the client reads nothing for the limit, and not while it reads", async () => {
    using clock = stopClock();
    const { body, counts, over } = open({ stallLimitMs: 1000 });
    body.write("x".repeat(4_000_000));
    const reader = body.stream.getReader();
    for (let count = 0; count < 12; count += 1) {
      expect((await reader.read()).value?.length).toBe(262_144);
      await clock.pass(1000, 100);
      expect(counts.over).toBe(0);
    }
    await clock.pass(1000, 100);
    await over;
    expect(await reader.read().catch(String)).toContain("the client reads nothing");
    expect([body.queuedBytes, counts.over]).toEqual([0, 1]);
  });

  test("is not broken off while nothing is queued", async () => {
    using clock = stopClock();
    const { body, counts } = open({ stallLimitMs: 20 });
    const reader = body.stream.getReader();
    for (const text of ["x", "x"]) body.write(text);
    for (let count = 0; count < 2; count += 1) await reader.read();
    // Several limits long: an idle stream has nothing to read.
    await clock.pass(100);
    expect(counts.over).toBe(0);
    body.write("y");
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("y");
    await reader.cancel();
  });

  test("is broken off when more is queued than two of the largest frames", async () => {
    const { body, counts } = open();
    const chunk = "x".repeat(MAX_QUEUE_BYTES / 4);
    for (let count = 0; count < 4; count += 1) body.write(chunk);
    expect([counts.over, body.queuedBytes]).toEqual([0, MAX_QUEUE_BYTES]);
    body.write("y");
    expect([counts.over, body.queuedBytes]).toEqual([1, 0]);
    expect(await textOf(body).catch(String)).toContain("the client reads nothing");
  });
});
