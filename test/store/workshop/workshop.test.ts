import { expect, test } from "bun:test";
import { createRedactor, noRedactor } from "../../../src/store/redact/redact.ts";
import type { NewMessage } from "../../../src/store/append/row.ts";
import { make } from "../../../src/store/workshop/works.ts";
import { Workshop } from "../../../src/store/workshop/workshop.ts";
import { Random } from "../../faults/random.ts";
import { Texts } from "../../fuzz/texts.ts";
import { failure } from "../../support/failure.ts";
import { chainOf } from "../../support/growth.ts";
import { quiet } from "../../support/quiet.ts";

const conversation = "0190b000-0000-7000-8000-00000000000a";
const id = "0190b000-0000-7000-8000-00000000000b";
const program = new URL("../../../src/store/workshop/worker.ts", import.meta.url).href;
const secret = `password: "Tr0ub4dor-and-3"\n`;

const messageOf = (content: string, metadata?: NewMessage["metadata"]): NewMessage => ({
  role: "user",
  content,
  metadata,
  message_id: id,
});

/** A workshop whose threads a test can end, and how many there have been. */
function withThreads(redactor = createRedactor()) {
  const threads: Worker[] = [];
  const workshop = new Workshop(redactor, quiet, () => {
    const thread = new Worker(program, { ref: false });
    threads.push(thread);
    return thread;
  });
  return { threads, workshop, [Symbol.dispose]: () => workshop.close() };
}

test("a thread makes of large values what is made of them at once", async () => {
  using made = withThreads(createRedactor({ ticket: /T-\d{6}/ }));
  const texts = new Texts(new Random(7));
  // A key of its own, which an assignment would lose.
  const own = JSON.parse(`{"__proto__":{"token":"x"}}`) as Record<string, unknown>;
  for (let round = 0; round < 15; round += 1) {
    // Long enough for the thread, whatever the generator gives.
    const content = `${secret}T-123456 ${texts.text(2000)}\n${chainOf(texts.text(40), 60_000)}`;
    const message = messageOf(content, { ...texts.metadata(), password: texts.text(30), ...own });
    const given: [string, NewMessage, boolean] = [conversation, message, false];
    expect(await made.workshop.make("row", ...given)).toEqual(make(made.workshop.redactor, "row", given));
    expect(await made.workshop.make("metadata", { content })).toEqual(
      make(made.workshop.redactor, "metadata", [{ content }]),
    );
    expect(await made.workshop.make("hashes", message)).toEqual(make(made.workshop.redactor, "hashes", [message]));
    const result = { correlation_id: "a", model: "b", output: content, prompt: content };
    expect(await made.workshop.make("result", id, result)).toEqual(
      make(made.workshop.redactor, "result", [id, result]),
    );
  }
  expect(made.threads).toHaveLength(1);
});

test("small values take no thread, and wide or nested ones are judged by all their parts", async () => {
  using made = withThreads();
  const row = made.workshop.make("row", conversation, messageOf("a".repeat(40_000)), false);
  expect(row).not.toBeInstanceOf(Promise);
  expect(made.threads).toHaveLength(0);
  const wide = Object.fromEntries(Array.from({ length: 20_000 }, (_, key) => [key, 1]));
  let nested: unknown = "a".repeat(60_000);
  for (let depth = 0; depth < 100; depth += 1) nested = { a: [nested] };
  for (const metadata of [wide, { nested }, { ["k".repeat(60_000)]: 1 }]) {
    const given = made.workshop.make("row", conversation, messageOf("a", metadata), false);
    expect(given).toBeInstanceOf(Promise);
    expect(await given).toEqual(make(made.workshop.redactor, "row", [conversation, messageOf("a", metadata), false]));
  }
});

test("values of many parts are handed over as JSON, which takes a tenth of the time of a copy, and texts as they are", async () => {
  const orders: unknown[] = [];
  using workshop = Object.assign(
    new Workshop(createRedactor(), quiet, () => {
      const thread = new Worker(program, { ref: false });
      const post = thread.postMessage.bind(thread);
      return Object.assign(thread, {
        postMessage(order: { given?: unknown }) {
          if ("given" in order) orders.push(order.given);
          post(order);
        },
      });
    }),
    { [Symbol.dispose]: () => workshop.close() },
  );
  const wide = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`key ${index}\0\ud800`, { index }]));
  const made = await workshop.make("metadata", wide);
  expect(made).toEqual(make(workshop.redactor, "metadata", [wide]));
  const message = messageOf("a".repeat(60_000));
  expect(await workshop.make("row", conversation, message, false)).toEqual(
    make(workshop.redactor, "row", [conversation, message, false]),
  );
  expect(orders).toEqual([JSON.stringify([wide]), [conversation, message, false]]);
});

test("the event loop turns while a large text is prepared", async () => {
  using made = withThreads();
  // The thread is started first, so that only the work is measured.
  await made.workshop.make("metadata", { a: "a".repeat(60_000) });
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 1);
  const started = performance.now();
  await made.workshop.make("row", conversation, messageOf(chainOf("aB字", 3_000_000)), false);
  const tookMs = performance.now() - started;
  clearInterval(timer);
  // Prepared at once, it would leave no turn at all.
  expect(turns).toBeGreaterThan(Math.min(20, tookMs / 50));
});

test("a thread that dies is replaced, and what it had in hand and what waited is made all the same", async () => {
  using made = withThreads();
  const contents = ["a:", "b:", "c:"].map((piece) => secret + chainOf(piece, 400_000));
  const rows = contents.map((content) =>
    Promise.resolve(made.workshop.make("row", conversation, messageOf(content), false)),
  );
  made.threads[0]?.terminate();
  for (const [index, content] of contents.entries())
    expect((await rows[index])?.content).toBe(
      make(made.workshop.redactor, "row", [conversation, messageOf(content), false]).content,
    );
  expect(made.threads).toHaveLength(2);
});

test("what ends two threads is refused, so that a caller repeats it, and the next is made", async () => {
  const threads: Worker[] = [];
  const workshop = new Workshop(noRedactor, quiet, () => {
    const thread = new Worker(program, { ref: false });
    threads.push(thread);
    if (threads.length <= 2) thread.terminate();
    return thread;
  });
  const [first, second] = ["x", "y"].map((sign) =>
    Promise.resolve(workshop.make("metadata", { sign: sign.repeat(60_000) })),
  );
  expect(await failure(first ?? Promise.resolve())).toMatchObject({ code: "unavailable" });
  expect((await second)?.readable).toContain("yyy");
  expect(threads).toHaveLength(3);
  workshop.close();
});

test("a pattern that is ended in the thread is counted and named", async () => {
  const ended: string[] = [];
  using made = withThreads(createRedactor({ slow: /a(?:.*b)?/ }, (kind) => ended.push(kind)));
  await made.workshop.make("row", conversation, messageOf("a".repeat(60_000)), false);
  expect(ended).toEqual(["slow"]);
  expect(made.workshop.redactor.ended()).toEqual({ slow: 1 });
});

test("so much may wait, wherever its texts stand, and what comes then is refused", async () => {
  const { workshop } = withThreads();
  const [large, heavy] = ["x".repeat(70_000_000), "y".repeat(60_000)];
  // The first is in hand.
  const waiting = [{ heavy }, { large, heavy }, { heavy, large }, { nested: [{ large }, { heavy }] }].map((metadata) =>
    Promise.resolve(workshop.make("metadata", metadata)),
  );
  expect(() => workshop.make("metadata", { heavy })).toThrow("too many large texts wait");
  expect(workshop.make("metadata", { light: "z" })).not.toBeInstanceOf(Promise);
  const failures = Promise.all(waiting.map((each) => failure(each)));
  workshop.close();
  expect(await failures).toHaveLength(waiting.length);
});

test("closing refuses what waits", async () => {
  const { workshop } = withThreads();
  const rows = ["x", "y"].map((sign) => Promise.resolve(workshop.make("metadata", { sign: sign.repeat(60_000) })));
  const failures = Promise.all(rows.map((row) => failure(row)));
  workshop.close();
  for (const error of await failures) expect(error).toMatchObject({ code: "unavailable" });
});
