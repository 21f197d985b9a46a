import { expect, test } from "bun:test";
import { FAREWELL_STALL_MS } from "../../src/wire/limits.ts";
import { LineWriter } from "../../src/wire/line-writer.ts";
import { stopClock } from "../support/clock.ts";

/** A writer into a pipe whose reader the test plays. */
function open(isFast = false) {
  const flushes: PromiseWithResolvers<number>[] = [];
  const state = { text: "", drained: 0, failures: [] as string[], isFast };
  const decoder = new TextDecoder();
  const output = {
    write: (piece: string | Uint8Array) =>
      void (state.text += typeof piece === "string" ? piece : decoder.decode(piece, { stream: true })),
    flush() {
      if (state.isFast) return 0;
      const flush = Promise.withResolvers<number>();
      flushes.push(flush);
      return flush.promise;
    },
  } as unknown as Bun.FileSink;
  const writer = new LineWriter({
    output,
    drained: () => void (state.drained += 1),
    failed: (error) => void state.failures.push(String(error)),
  });
  return { writer, state, flushes, take: () => flushes.at(-1)?.resolve(0) };
}

const turn = () => new Promise(setImmediate);

test("a line that the reader takes at once is written at once, whatever its length and characters", () => {
  const { writer, state } = open(true);
  const lines = ["a\n", `${"é漢🙂".repeat(100_000)}\n`, "b\n"];
  for (const line of lines) expect(writer.write(line)).toBe(true);
  expect(state).toMatchObject({ drained: 0, failures: [] });
  expect(state.text === lines.join("")).toBe(true);
});

test("a long line is written piece by piece as the reader takes it, and the next lines behind it", async () => {
  const { writer, state, flushes, take } = open();
  const lines = [`${"x".repeat(200_000)}\n`, "b\n"];
  for (const line of lines) expect(writer.write(line)).toBe(false);
  expect(state.text.length).toBe(65_536);
  while (writer.isBlocked) {
    take();
    await turn();
  }
  expect([flushes.length, state.drained]).toEqual([5, 1]);
  expect(state.text === lines.join("")).toBe(true);
});

test("a flush waits while the reader takes a piece now and then, and no longer", async () => {
  using clock = stopClock();
  const { writer, take } = open();
  writer.write(`${"x".repeat(1_000_000)}\n`);
  let isFlushed = false;
  void writer.flushed().then(() => (isFlushed = true));
  for (let pieces = 0; pieces < 5; pieces += 1) {
    await clock.pass(FAREWELL_STALL_MS - 100, 100);
    take();
  }
  expect(isFlushed).toBe(false);
  await clock.pass(2 * FAREWELL_STALL_MS, 100);
  expect(isFlushed).toBe(true);
});

test("a flush ends with the pipe, and what was queued is dropped", async () => {
  const { writer, state, flushes } = open();
  writer.write(`${"x".repeat(200_000)}\n`);
  const flushed = writer.flushed();
  flushes.at(-1)?.reject(new Error("EPIPE"));
  await flushed;
  expect(state).toMatchObject({ failures: ["Error: EPIPE"], drained: 0 });
  expect([writer.isBlocked, state.text.length]).toEqual([false, 65_536]);
});
