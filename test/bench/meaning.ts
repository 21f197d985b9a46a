import { parseArgs } from "node:util";
import { startEmbedded } from "../../src/store/engine/embedded.ts";
import { SignIndex } from "../../src/store/meaning/sign-index.ts";
import { signText, signsOf, stored } from "../../src/store/meaning/vectors.ts";
import { openStore } from "../../src/store/store.ts";
import { temporaryHome } from "../support/home.ts";
import { connect, storeOptions } from "../support/postgres.ts";
import { stderrLog } from "../../src/log.ts";

// `bun test/bench/meaning.ts FILE … --embeddings URL [--model NAME] [--passages N] [--queries N] [--data FOLDER]`: speed and
// size of search by meaning over a million passages. The files are those of `bench:search`; their messages are stored and
// embedded, and repeated with noise on each vector until there are N passages. Then each question is asked of everything, of
// one session and of one role, with its vector at hand, so that the endpoint's own time does not count; and the ways to find candidates are
// compared: PostgreSQL's `bit_count` over the signs, by one worker and by two, and the signs in the server's memory.

interface Corpus {
  conversations: {
    id: number;
    sessions: { turns: { id: string; speaker?: string; role?: string; text: string }[] }[];
  }[];
  questions: { conversation: number; question: string }[];
}

const DEFAULT_PASSAGES = 1_000_000;
const DEFAULT_QUERIES = 100;
/** Length of the noise, of a unit vector: copies are about as alike as paraphrases are. */
const NOISE = 0.5;
const INSERTED_AT_ONCE = 4000;
const CANDIDATES = 400;
/** The bars, in milliseconds. */
const MOST_MS = { everything: 150, session: 60, role: 150 };

const { values: options, positionals: files } = parseArgs({
  allowPositionals: true,
  options: {
    embeddings: { type: "string" },
    model: { type: "string", default: "all-minilm-l6-v2" },
    passages: { type: "string", default: `${DEFAULT_PASSAGES}` },
    queries: { type: "string", default: `${DEFAULT_QUERIES}` },
    data: { type: "string" },
  },
});
const [wanted, asked] = [Number(options.passages), Number(options.queries)];
if (options.embeddings === undefined || files.length === 0 || !(wanted > 0) || !(asked > 0)) {
  console.error("usage: bun test/bench/meaning.ts FILE … --embeddings URL [--model NAME] [--passages N] [--queries N]");
  process.exit(2);
}
const log = stderrLog("warn");
using home = temporaryHome();
const engine = await startEmbedded({ dataDir: options.data ?? `${home.path}/postgres`, log });
const embeddings = { url: options.embeddings, model: options.model };
await using store = Object.assign(await openStore(storeOptions(engine.connection, { embeddings, log })), {
  [Symbol.asyncDispose]: () => store.close(),
});
const sql = connect(engine.connection);
const corpora = await Promise.all(files.map(async (file) => (await Bun.file(file).json()) as Corpus));
const isLoaded = (await count("dewey_meaning_passages")) >= wanted;
if (!isLoaded) await load();
const { meaning } = store;
if (!meaning) throw new Error("the store does not search by meaning");
const readMs = await timed(() => meaning.look());
const { passages, index_bytes } = meaning.state();
console.log(`${passages} passages of ${await count("messages")} messages`);
console.log(`read into memory in ${(readMs / 1000).toFixed(1)} s: ${(index_bytes / 1e6).toFixed(0)} MB`);
for (const table of ["dewey_meaning_passages", "messages"])
  console.log(`${table}: ${((await sizeOf(table)) / 1e6).toFixed(0)} MB with its indexes`);
await compareWays();
await search();
await sql.close();
await store.close();
await engine.stop();

async function load(): Promise<void> {
  for (const [index, { conversations }] of corpora.entries())
    for (const { id, sessions } of conversations)
      for (const { turns } of sessions) {
        const messages = turns.map(({ speaker, role = "user", text }) => ({
          role,
          content: speaker === undefined ? text : `${speaker}: ${text}`,
        }));
        for (let at = 0; at < messages.length; at += 500)
          await store.messages.storeBulk({ session_id: `${index} ${id}`, messages: messages.slice(at, at + 500) });
      }
  const embedding = new AbortController();
  const kept = store.meaning?.keep(embedding.signal);
  const embeddingMs = await timed(async () => {
    while ((await sql`select from dewey_meaning_models where completed_at is not null`).length === 0)
      await Bun.sleep(200);
  });
  embedding.abort();
  await kept;
  const real = await count("dewey_meaning_passages");
  console.log(
    `embedded ${real} passages in ${(embeddingMs / 1000).toFixed(0)} s, ${((real * 1000) / embeddingMs).toFixed(1)} a second`,
  );
  await repeat();
}

/** Copies the messages with their words, and their vectors with noise. */
async function repeat(): Promise<void> {
  const [index]: { definition: string }[] =
    await sql`select pg_get_indexdef('messages_search'::regclass) as definition`;
  await sql.unsafe("drop index messages_search");
  await sql`create table copied (copy integer, id uuid, now uuid, primary key (copy, id))`;
  const rows: Base[] = await sql`select model, message_id, conversation_id, role, starts_at, ends_at, scale, bytes
    from dewey_meaning_passages order by id`;
  const base = rows.map((row) => ({ ...row, vector: vectorOf(row) }));
  for (let copy = 1, left = wanted - base.length; left > 0; copy += 1, left -= base.length) {
    await copyMessages(copy);
    const now: { id: string; now: string }[] = await sql`select id, now from copied where copy = ${copy}`;
    const ids = new Map(now.map((row) => [row.id, row.now]));
    const part = base.slice(0, left);
    for (let at = 0; at < part.length; at += INSERTED_AT_ONCE) await insert(part.slice(at, at + INSERTED_AT_ONCE), ids);
  }
  await sql.unsafe("drop table copied");
  await sql.unsafe("set maintenance_work_mem = '1GB'");
  await sql.unsafe(index?.definition ?? "");
  await sql.unsafe("delete from dewey_meaning_queue");
  await sql.unsafe("update dewey_meaning set seen = pg_current_snapshot()::text");
  await sql.unsafe("vacuum analyze");
}

async function copyMessages(copy: number): Promise<void> {
  await sql.unsafe(`insert into copied select ${copy}, id, gen_random_uuid() from (
    select id from messages where metadata is null or not metadata ? 'copy' union all
    select id from conversations where metadata is null or not metadata ? 'copy') as each`);
  const marked = `coalesce(m.metadata, '{}') || '{"copy": ${copy}}'`;
  await sql.unsafe(`insert into conversations (id, session_id, metadata, created_at, updated_at, last_turn, message_count)
    select c.now, m.session_id || ' copy ${copy}', ${marked}, m.created_at, m.updated_at, m.last_turn, m.message_count
    from conversations m join copied c on c.id = m.id and c.copy = ${copy}`);
  await sql.unsafe(`insert into messages (id, conversation_id, turn_number, role, content, metadata, created_at, search)
    select c.now, k.now, m.turn_number, m.role, m.content, ${marked}, m.created_at - interval '${copy} days', m.search
    from messages m join copied c on c.id = m.id and c.copy = ${copy}
    join copied k on k.id = m.conversation_id and k.copy = ${copy}`);
}

interface Base {
  model: string;
  message_id: string;
  conversation_id: string;
  role: string;
  starts_at: number;
  ends_at: number;
  scale: number;
  bytes: Uint8Array;
}

function vectorOf({ scale, bytes }: Base): Float32Array {
  return Float32Array.from(new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length), (byte) => byte * scale);
}

/** The vector in another direction, of unit length. */
function noisy(vector: Float32Array): Float32Array {
  const step = (NOISE / Math.sqrt(vector.length)) * Math.sqrt(12);
  const moved = vector.map((value) => value + (Math.random() - 0.5) * step);
  const length = Math.hypot(...moved);
  return moved.map((value) => value / length);
}

async function insert(rows: (Base & { vector: Float32Array })[], ids: Map<string, string>): Promise<void> {
  const made = rows.map((row) => ({ ...row, vector: noisy(row.vector) }));
  const kept = made.map(({ vector }) => stored(vector));
  const hex = kept.map(({ bytes }) => Buffer.from(bytes.buffer).toString("hex"));
  await sql`insert into dewey_meaning_passages (model, message_id, conversation_id, role, starts_at, ends_at, scale, signs, bytes)
    select ${rows[0]?.model ?? ""}::uuid, message, conversation, role, starts, ends, scale, signs::bit varying, decode(bytes, 'hex')
    from unnest(
      ${sql.array(
        made.map((row) => ids.get(row.message_id) ?? ""),
        "UUID",
      )}::uuid[],
      ${sql.array(
        made.map((row) => ids.get(row.conversation_id) ?? ""),
        "UUID",
      )}::uuid[],
      ${sql.array(
        made.map((row) => row.role),
        "TEXT",
      )}::text[],
      ${sql.array(
        made.map((row) => row.starts_at),
        "INTEGER",
      )}::integer[],
      ${sql.array(
        made.map((row) => row.ends_at),
        "INTEGER",
      )}::integer[],
      ${sql.array(
        kept.map(({ scale }) => scale),
        "DOUBLE PRECISION",
      )}::float8[],
      ${sql.array(
        made.map(({ vector }) => signText(vector)),
        "TEXT",
      )}::text[],
      ${sql.array(hex, "TEXT")}::text[]
    ) as g (message, conversation, role, starts, ends, scale, signs, bytes)`;
}

/** Times the ways to the candidates alone, with the same questions. */
async function compareWays(): Promise<void> {
  const vectors = (await askAll()).map(({ vector }) => vector);
  await sql.unsafe("create temporary table signs as select id, signs from dewey_meaning_passages");
  const byBits = async (workers: number, table: string) => {
    await sql.unsafe(`set max_parallel_workers_per_gather = ${workers}`);
    return latencies(vectors.slice(0, 20), async (vector) => {
      await sql.unsafe(
        `select id from ${table} order by bit_count(signs # '${signText(vector)}'::bit varying) limit ${CANDIDATES}`,
      );
    });
  };
  // A temporary table is never scanned in parallel.
  await sql.unsafe("create unlogged table signs_apart as select id, signs from dewey_meaning_passages");
  await sql.unsafe("vacuum analyze signs_apart");
  print("bit_count over the table of passages, one process", await byBits(0, "dewey_meaning_passages"));
  print("bit_count over a table of signs alone, one process", await byBits(0, "signs_apart"));
  print("bit_count over a table of signs alone, with two workers", await byBits(2, "signs_apart"));
  await sql.unsafe("drop table signs_apart");
  const [model]: { id: string; dimensions: number }[] = await sql`select id, dimensions from dewey_meaning_models`;
  if (!model) throw new Error("there is no model");
  const index = new SignIndex(model);
  await index.read((work) => work(sql));
  const inMemory = async (vector: Float32Array) => {
    await index.nearest(signsOf(vector), { count: CANDIDATES, upTo: Number.MAX_SAFE_INTEGER });
  };
  await inMemory(vectors[0] ?? new Float32Array());
  print("signs in memory", await latencies(vectors, inMemory));
}

async function askAll() {
  const questions = corpora.flatMap(({ questions }, index) =>
    questions.map(({ question, conversation }) => ({ question, session_id: `${index} ${conversation}` })),
  );
  const step = Math.max(1, Math.floor(questions.length / asked));
  const chosen = questions.filter((_, index) => index % step === 0).slice(0, asked);
  const vectors = [];
  for (const each of chosen) {
    vectors.push({ ...each, vector: await vectorFor(each.question) });
  }
  return vectors;
}

/** The vector of a question, which the server then remembers. A busy endpoint may need more than a search waits for it. */
async function vectorFor(question: string): Promise<Float32Array> {
  for (let attempt = 0; attempt < 60; attempt += 1) {
    const found = await store.meaning?.ask(question);
    if (typeof found === "object") return found.vector;
    await Bun.sleep(500);
  }
  throw new Error("the endpoint gives no vectors");
}

async function search(): Promise<void> {
  const questions = await askAll();
  const find = (query: string, more: object) => store.search.find({ query, limit: 10, offset: 0, ...more });
  for (const mode of ["words", "both", "meaning"] as const) {
    for (const where of ["everything", "session", "role"] as const) {
      const scopes = { everything: {}, role: { role: "user" } };
      const scope = (session_id: string) => (where === "session" ? { session_id } : scopes[where]);
      for (const { question, session_id } of questions.slice(0, 5))
        await find(question, { mode, ...scope(session_id) });
      const figures = await latencies(questions, async ({ question, session_id }) => {
        await find(question, { mode, ...scope(session_id) });
      });
      print(`search of ${where}, ${mode}`, figures, mode === "both" ? MOST_MS[where] : undefined);
    }
  }
}

async function latencies<Each>(all: Each[], work: (each: Each) => Promise<void>): Promise<number[]> {
  const times: number[] = [];
  for (const each of all) times.push(await timed(() => work(each)));
  return times.toSorted((a, b) => a - b);
}

function print(what: string, sorted: number[], most?: number): void {
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  const bar = most === undefined ? "" : at(0.95) <= most ? `  (within ${most})` : `  (more than ${most})`;
  console.log(`${what}: p50 ${at(0.5).toFixed(1)} ms, p95 ${at(0.95).toFixed(1)} ms${bar}`);
  if (bar.includes("more")) process.exitCode = 1;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

async function count(table: string): Promise<number> {
  const [row]: { count: number }[] = await sql.unsafe(`select count(*)::integer as count from ${table}`);
  return row?.count ?? 0;
}

async function sizeOf(table: string): Promise<number> {
  const [row]: { bytes: number }[] = await sql`select pg_total_relation_size(${table}::regclass)::float8 as bytes`;
  return row?.bytes ?? 0;
}
