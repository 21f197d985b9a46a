import { readFileSync } from "node:fs";
import type { SQL } from "bun";
import { engines, connect, emptyDatabase, stopSharedClusters, testStore } from "../support/postgres.ts";
import { familyOf } from "./support/memory.ts";

// Stores messages of ten million characters and finds their last words, in this process. `bun test/bench/longest.ts`

const CHARACTERS = 10_000_000;
const ROUNDS = 20;
/** Linux counts processor time in these. */
const TICK_MS = 10;
const SAMPLE_MS = 1;

const texts = {
  prose: repeated(20_000),
  "different words": Array.from({ length: 1_400_000 }, (_, index) => `d${index.toString(36)}x`).join(" "),
  "no spaces": Buffer.from(Uint8Array.from({ length: 7_500_000 }, (_, index) => (index * 7919) % 251)).toString(
    "base64",
  ),
  Chinese: Array.from({ length: 3_300_000 }, (_, index) =>
    String.fromCodePoint(0x4e_00 + ((index * 7919) % 4999)),
  ).join(""),
};

/** Text of some thousand different words. */
function repeated(words: number): string {
  return Array.from({ length: 1_800_000 }, (_, index) => `a${((index * index) % words).toString(36)}`).join(" ");
}

/** Processor time of this process and of PostgreSQL, in ms. */
function processorMs(): number {
  return familyOf(process.pid).reduce((sum, pid) => {
    try {
      const [, , , , , , , , , , , , , user = "0", system = "0"] = readFileSync(`/proc/${pid}/stat`, "utf8")
        .replace(/\(.*\)/, "name")
        .split(" ");
      return sum + (Number(user) + Number(system)) * TICK_MS;
    } catch {
      return sum;
    }
  }, 0);
}

/** What work takes: time, processor time, and the longest turn of the event loop. */
async function measured<Result>(work: () => Promise<Result>) {
  let [last, longest] = [performance.now(), 0];
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last - SAMPLE_MS);
    last = performance.now();
  }, SAMPLE_MS);
  const [startedMs, before] = [performance.now(), processorMs()];
  const result = await work();
  const told = { ms: performance.now() - startedMs, processor: processorMs() - before, longest };
  clearInterval(timer);
  return { result, ...told };
}

/** Of all tables and indexes, in MB. */
async function sizeOf(sql: SQL): Promise<number> {
  const [row]: { mb: number }[] = await sql`select sum(pg_total_relation_size(oid))::float8 / 1e6 as mb from pg_class
    where relname in ('messages', 'message_sections')`;
  return row?.mb ?? 0;
}

for (const engine of engines) {
  const connection = await emptyDatabase(engine);
  const store = await testStore(engine, { connection });
  const sql = connect(connection);
  console.log(engine.name);
  for (const [what, text] of Object.entries(texts)) {
    const content = `${text.slice(0, CHARACTERS)} the end is ${what.replaceAll(" ", "")}end`;
    const messages = [{ role: "tool", content }];
    const before = await sizeOf(sql);
    const stored = await measured(() => store.messages.storeBulk({ session_id: what, messages }));
    const size = (await sizeOf(sql)) - before;
    const query = `${what.replaceAll(" ", "")}end`;
    const found: { ms: number; longest: number; processor: number; total: number }[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const { result, ...times } = await measured(() => store.search.find({ query, limit: 10, offset: 0 }));
      found.push({ ...times, total: result.total });
    }
    const median = (key: "ms" | "longest" | "processor") =>
      found.map((each) => each[key]).toSorted((a, b) => a - b)[ROUNDS / 2] ?? Number.NaN;
    console.log(
      `${what}, ${(Buffer.byteLength(content) / 1e6).toFixed(1)} MB: stored in ${stored.ms.toFixed(0)} ms (processor ${stored.processor} ms, longest turn ${stored.longest.toFixed(0)} ms), ${size.toFixed(0)} MB on disk; ` +
        `last word in ${found[0]?.total} hits, p50 ${median("ms").toFixed(0)} ms (processor ${median("processor")} ms, longest turn ${median("longest").toFixed(0)} ms)`,
    );
  }
  await sql.close();
  await store.close();
}
await stopSharedClusters();
