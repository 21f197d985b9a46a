import { parseArgs } from "node:util";
import type { SQL } from "bun";
import { stderrLog } from "../../src/log.ts";
import { startEmbedded } from "../../src/store/engine/embedded.ts";
import { openStore } from "../../src/store/store.ts";
import { temporaryHome } from "../support/home.ts";
import { connect, storeOptions } from "../support/postgres.ts";
import { talk } from "./talk.ts";

// `bun test/bench/embedding.ts [--ms-a-text N …] [--rounds N]`: what embedding costs and uses. An endpoint works on one text at a
// time, for so many milliseconds each, as a model does that has one processor; it sleeps meanwhile, so that the figures are
// Dewey's. Measured are the share of the time in which it works while messages lie there, and how fast messages are stored beside that,
// against the same store while nothing embeds, in turns.

const DIMENSIONS = 384;
const MESSAGES_A_CALL = 50;
const CALLS_A_ROUND = 40;
/** Of the time in which messages lie there, the first is for starting. */
const START_MS = 3000;
const BUSY_MS = 12_000;
/** The bars. */
const LEAST_BUSY = 0.9;
const LEAST_STORING = 0.98;

const { values: options } = parseArgs({
  options: {
    "ms-a-text": { type: "string", multiple: true, default: ["50", "5"] },
    rounds: { type: "string", default: "10" },
  },
});
const log = stderrLog("warn");
const vector = JSON.stringify(Array.from({ length: DIMENSIONS }, (_, index) => Math.sin(index + 1)));

/** An endpoint that works on one text at a time. */
class SerialEndpoint implements Disposable {
  msAText = 1;
  busyMs = 0;
  texts = 0;
  #free = Promise.resolve();
  readonly #server = Bun.serve({ port: 0, idleTimeout: 0, fetch: (request) => this.#answer(request) });

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}/v1`;
  }

  async #answer(request: Request): Promise<Response> {
    const { input } = (await request.json()) as { input: string[] };
    const before = this.#free;
    const done = Promise.withResolvers<void>();
    this.#free = done.promise;
    await before;
    const startedMs = performance.now();
    await Bun.sleep(input.length * this.msAText);
    this.busyMs += performance.now() - startedMs;
    this.texts += input.length;
    done.resolve();
    const data = input.map((_, index) => `{"index":${index},"embedding":${vector}}`).join(",");
    return new Response(`{"object":"list","data":[${data}]}`);
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }
}

using home = temporaryHome();
const engine = await startEmbedded({ dataDir: `${home.path}/postgres`, log });
const sql = connect(engine.connection);
using endpoint = new SerialEndpoint();
const embeddings = { url: endpoint.url, model: "serial" };
const store = await openStore(storeOptions(engine.connection, { embeddings, log }));
const { meaning } = store;
if (!meaning) throw new Error("the store does not search by meaning");
const rounds = Number(options.rounds);
const calls = rounds * 2 * options["ms-a-text"].length * CALLS_A_ROUND;
const messages = [...talk(calls * MESSAGES_A_CALL)].map(({ role, content }) => ({ role, content }));
for (const msAText of options["ms-a-text"].map(Number)) {
  endpoint.msAText = msAText;
  const storing = await storeInTurns();
  const busy = await keepBusy();
  console.log(`an endpoint of ${(1000 / msAText).toFixed(0)} texts a second:`);
  tell("  busy", busy, LEAST_BUSY);
  tell("  storing beside embedding, against alone", storing, LEAST_STORING);
}
await sql.close();
await store.close();
await engine.stop();

/** Embeds until the block ends. */
function embedding(): AsyncDisposable {
  const stopping = new AbortController();
  const kept = meaning?.keep(stopping.signal);
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await kept;
    },
  };
}

/** Stores in turns beside embedding and alone; the ratio of the medians of the rates. */
async function storeInTurns(): Promise<number> {
  const rates = { beside: [] as number[], alone: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    // Which comes first changes, since a larger store is slower.
    for (const how of round % 2 === 0 ? (["beside", "alone"] as const) : (["alone", "beside"] as const)) {
      await using _ = how === "beside" ? embedding() : undefined;
      if (how === "beside") await untilUnderWay();
      const startedMs = performance.now();
      for (let call = 0; call < CALLS_A_ROUND; call += 1)
        await store.messages.storeBulk({ messages: messages.splice(0, MESSAGES_A_CALL) });
      rates[how].push((CALLS_A_ROUND * MESSAGES_A_CALL * 1000) / (performance.now() - startedMs));
    }
  }
  const [beside, alone] = [median(rates.beside), median(rates.alone)];
  console.log(`stored beside embedding ${beside.toFixed(0)} a second, alone ${alone.toFixed(0)}`);
  return beside / alone;
}

async function untilUnderWay(): Promise<void> {
  if (messages.length === calls * MESSAGES_A_CALL)
    await store.messages.storeBulk({ messages: messages.splice(0, MESSAGES_A_CALL) });
  const before = endpoint.texts;
  while (endpoint.texts === before) await Bun.sleep(10);
}

/** The share of the time in which the endpoint worked, while messages lie there. */
async function keepBusy(): Promise<number> {
  await using _ = embedding();
  await Bun.sleep(START_MS);
  const before = { busyMs: endpoint.busyMs, atMs: performance.now() };
  await Bun.sleep(BUSY_MS);
  const share = (endpoint.busyMs - before.busyMs) / (performance.now() - before.atMs);
  if ((await left(sql)) === 0) throw new Error("every message was embedded before the measurement ended; store more");
  return share;
}

async function left(database: SQL): Promise<number> {
  const [row]: { count: number }[] = await database`select count(*)::integer as count from dewey_meaning_queue`;
  return row?.count ?? 0;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function tell(what: string, ratio: number, least: number): void {
  const bar = ratio >= least ? `at least ${least}` : `less than ${least}`;
  console.log(`${what}: ${ratio.toFixed(3)} (${bar})`);
  if (ratio < least) process.exitCode = 1;
}
