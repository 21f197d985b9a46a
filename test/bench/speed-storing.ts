import type { SQL } from "bun";
import type { IndexSorter } from "../../src/store/search/index-sorter.ts";
import { searchable } from "../../src/store/search/text.ts";
import { talk } from "./talk.ts";
import type { TalkMessage } from "./talk.ts";

const BATCHES = 300;
const ROWS = 100;
/** Warm-up batches. */
const WARMING = 20;

/** Rows stored per second. */
export interface Storing {
  dewey: number;
  plain: number;
  /** Ratio of the median batch times, so that a stall of the machine does not decide. */
  ratio: number;
}

/**
 * Stores the same messages in two of Dewey's databases with Dewey's own function, alternating: one as it is, with the server's
 * background work; in the other one, search is only a stored `to_tsvector('english', content)` with a default GIN index.
 */
export async function compareStoring(dewey: SQL, sorter: IndexSorter, plain: SQL): Promise<Storing> {
  await makePlain(plain);
  const times = { dewey: [] as number[], plain: [] as number[] };
  let batch: TalkMessage[] = [];
  const begun = new Set<string>();
  let stored = 0;
  for (const message of talk(BATCHES * ROWS, 2)) {
    batch.push(message);
    if (batch.length < ROWS) continue;
    const fresh = batch.map((each) => each.conversation.id).filter((id) => !begun.has(id));
    for (const sql of [dewey, plain]) await begin(sql, [...new Set(fresh)]);
    for (const id of fresh) begun.add(id);
    const both = [
      async () => {
        times.dewey.push(await store(dewey, batch, searchable));
        sorter.stored(batch.reduce((sum, each) => sum + charactersOf(each), 0));
      },
      async () => times.plain.push(await store(plain, batch, () => null)),
    ];
    // They alternate in going first, so that neither finds the disk busier.
    for (const one of stored % 2 === 0 ? both : both.toReversed()) await one();
    stored += 1;
    batch = [];
  }
  const median = (all: number[]) =>
    all.slice(WARMING).toSorted((a, b) => a - b)[(all.length - WARMING) >> 1] ?? Number.NaN;
  const mean = (all: number[]) => all.slice(WARMING).reduce((sum, each) => sum + each, 0) / (all.length - WARMING);
  const rate = (all: number[]) => (1000 * ROWS) / mean(all);
  return {
    dewey: rate(times.dewey),
    plain: rate(times.plain),
    ratio: Math.min(mean(times.plain) / mean(times.dewey), median(times.plain) / median(times.dewey)),
  };
}

/** The characters as the store counts them. */
function charactersOf({ content, metadata }: TalkMessage): number {
  const texts = [content, metadata && JSON.stringify(metadata), searchable(content)];
  return texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
}

/** Removes everything for search except a stored tsvector with its index. */
async function makePlain(sql: SQL): Promise<void> {
  await sql.unsafe(`create or replace function dewey_search_vector(content text) returns tsvector
    language sql immutable parallel safe as $$ select to_tsvector('english', content) $$`);
  const indexes: { name: string }[] = await sql.unsafe(
    `select indexrelid::regclass::text as name from pg_index
      where indrelid = 'messages'::regclass and not indisunique
        and pg_get_indexdef(indexrelid) !~ 'btree \\((conversation_id, )?created_at'`,
  );
  for (const { name } of indexes) await sql.unsafe(`drop index ${name}`);
  await sql.unsafe("create index on messages using gin (search)");
}

async function begin(sql: SQL, ids: string[]): Promise<void> {
  await sql`insert into conversations (id) select unnest(${sql.array(ids, "UUID")}::uuid[])`;
}

async function store(sql: SQL, batch: TalkMessage[], written: typeof searchable): Promise<number> {
  const startedMs = performance.now();
  const none = batch.map(() => null);
  await sql`select from dewey_append(
    ${sql.array(
      batch.map((_, index) => index),
      "INTEGER",
    )}::integer[],
    ${sql.array(
      batch.map((each) => each.conversation.id),
      "UUID",
    )}::uuid[],
    ${sql.array(
      batch.map((each) => each.id),
      "UUID",
    )}::uuid[],
    ${sql.array(none, "INTEGER")}::integer[],
    ${sql.array(
      batch.map((each) => each.role),
      "TEXT",
    )}::text[],
    ${sql.array(
      batch.map((each) => each.content),
      "TEXT",
    )}::text[],
    ${sql.array(none, "TEXT")}::text[],
    ${sql.array(
      batch.map((each) => each.metadata && JSON.stringify(each.metadata)),
      "TEXT",
    )}::text[],
    ${sql.array(none, "TEXT")}::text[],
    ${sql.array(
      batch.map((each) => new Date(each.timeMs).toISOString()),
      "TIMESTAMPTZ",
    )}::timestamptz[],
    ${sql.array(none, "TEXT")}::text[],
    ${sql.array(
      batch.map((each) => written(each.content)),
      "TEXT",
    )}::text[],
    ${sql.array(
      batch.map(() => false),
      "BOOLEAN",
    )}::boolean[],
    null::refcursor
  )`;
  return performance.now() - startedMs;
}
