import { expect, test } from "bun:test";
import { TestEndpoint } from "../../support/embeddings-endpoint.ts";
import type { Behaviour } from "../../support/embeddings-endpoint.ts";
import { embeddedTwice, isEmbedded, meaningStore } from "../../support/meaning.ts";
import type { MeaningStore } from "../../support/meaning.ts";
import { engines } from "../../support/postgres.ts";
import { until } from "../../support/rpc.ts";

const [engine] = engines;
if (!engine) throw new Error("there is no PostgreSQL");

/** Rounds of a seed: each has a fault, and messages that come and go meanwhile. */
const ROUNDS = 12;
const SEEDS = [1, 20_261, 77_003];
const BEHAVIOURS: Behaviour[] = [
  "busy",
  "drop",
  "hang",
  "nan",
  "zeros",
  "short",
  "few",
  "noJson",
  "refuse",
  "unauthorized",
];
const MODELS = ["test-embed", "larger"];

/** Numbers from 0 up to 1 that depend on the seed alone (mulberry32). */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A server that embeds, until it is stopped or dies. */
interface Server {
  store: MeaningStore;
  end(): Promise<void>;
}

test.each(SEEDS)("whatever fails, each message has its vectors in the end, once (seed %d)", async (seed) => {
  const next = chance(seed);
  const oneOf = <Each>(all: readonly Each[]): Each => all[Math.floor(next() * all.length)] as Each;
  await using endpoint = new TestEndpoint();
  await using base = await meaningStore(engine, endpoint);
  const { connection, sql } = base;
  const start = async (model: string): Promise<Server> => {
    const store = await meaningStore(engine, endpoint, { connection, model });
    const stopping = new AbortController();
    const kept = store.meaning.keep(stopping.signal);
    const end = async () => {
      stopping.abort();
      await kept;
      await store[Symbol.asyncDispose]();
    };
    return { store, end };
  };
  let model = "test-embed";
  let servers = [await start(model), await start(model)];
  const strikes: Record<string, () => Promise<void>> = {
    endpoint: async () => void (endpoint.behaviour = oneOf(BEHAVIOURS)),
    slow: async () => void (endpoint.delayMs = 200),
    // As a killed server's are: its transactions are rolled back, and its hold stays.
    connections: async () => {
      await sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`;
    },
    server: async () => {
      await servers.shift()?.end();
      servers.push(await start(model));
    },
    model: async () => {
      for (const server of servers) await server.end();
      model = oneOf(MODELS);
      endpoint.dimensions = model === "larger" ? 320 : 256;
      servers = [await start(model), await start(model)];
    },
    deletion: async () => void (await sql`delete from messages where turn_number % 7 = ${Math.floor(next() * 7)}`),
    change: async () => void (await sql`update messages set content = content || ' again' where turn_number % 5 = 0`),
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    const messages = Array.from({ length: 20 }, (_, n) => ({
      role: "user",
      content: `round ${round}: automobile ${n}`,
    }));
    await base.store.messages.storeBulk({ messages });
    await strikes[oneOf(Object.keys(strikes))]?.();
    const reply = await servers[0]?.store.find(`which car was it in round ${round}`).catch(() => undefined);
    // Words answer, whatever the endpoint does, unless the connections have just gone.
    if (reply) expect(reply.results.length).toBeGreaterThan(0);
    await Bun.sleep(next() * 300);
    if (next() < 0.6) endpoint.behaviour = "answer";
    if (next() < 0.6) endpoint.delayMs = 0;
  }
  endpoint.behaviour = "answer";
  endpoint.delayMs = 0;
  await until(`every message has its vectors (seed ${seed})`, () => isEmbedded(sql, model));
  expect(await embeddedTwice(sql)).toBe(0);
  const [wrong]: { count: number }[] = await sql`
    select count(*)::integer as count from dewey_meaning_passages p left join messages m on m.id = p.message_id
    where m.id is null or p.ends_at > length(m.content) or length(p.bytes) <> ${endpoint.dimensions}`;
  expect(wrong?.count).toBe(0);
  for (const server of servers) await server.end();
});
