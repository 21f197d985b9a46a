import type { SQL } from "bun";
import type { Narrowing } from "../search/filter.ts";
import type { Filter } from "../search/rank.ts";
import type { Model } from "./models.ts";
import type { Passage } from "./passages.ts";
import { conversationsIn } from "./scope.ts";
import type { SignIndex } from "./sign-index.ts";
import { cosine, signText, signsOf } from "./vectors.ts";

/**
 * Passages that are compared exactly, of those that the signs choose; each is a row or two to read. A filter on messages lets
 * few of them pass, so more are tried.
 */
const CANDIDATES = [400, 4000] as const;
/** Passages of the messages that pass a narrow filter: they are all compared where few of the candidates pass. */
const MAX_FILTERED = 5000;

/** A message by its passage that means the most like a query. */
export interface Meant extends Passage {
  id: string;
  conversation: string;
  turn: number;
  role: string;
  /** In ms since 1970. */
  time: number;
  /** The cosine between the query and the passage. */
  likeness: number;
  /** Of the passage's vector: equal ones are of equal passages. */
  mark: string;
}

/** What is looked for, and in which part of the store. */
export interface Question {
  model: Model;
  vector: Float32Array;
  index: SignIndex;
  /** The highest id of a passage that the first page could see. */
  upTo: number;
  filter: Filter;
  narrowing: Narrowing;
  /** Messages wanted. */
  limit: number;
}

/** Finds the messages whose passages mean the most like a query, each by its best passage, the best first. */
export async function nearest(sql: SQL, question: Question): Promise<Meant[]> {
  const { index, vector, upTo, filter, narrowing, limit } = question;
  const within = await conversationsIn(sql, narrowing);
  const signs = signsOf(vector);
  let passages: Found[] = [];
  for (const count of CANDIDATES) {
    const ids = await index.nearest(signs, { count, upTo, within });
    passages = await readPassages(sql, question, ids);
    if (ids.length < count || new Set(passages.map(({ id }) => id)).size >= limit) return best(passages, limit);
  }
  // A filter that few of the nearest pass is narrow, or what passes it means something else.
  return best(filter.values.length > 0 ? [...passages, ...(await readFiltered(sql, question))] : passages, limit);
}

interface Found extends Meant {
  passage: number;
}

const COLUMNS = `p.id::float8 as passage, p.starts_at as start, p.ends_at as end, p.scale, p.bytes, m.id,
  m.conversation_id as conversation, m.turn_number as turn, m.role, extract(epoch from m.created_at)::float8 * 1000 as time`;

async function readPassages(sql: SQL, { model, vector, filter }: Question, ids: number[]): Promise<Found[]> {
  if (ids.length === 0) return [];
  const parameter = filter.values.length;
  const rows: Row[] = await sql.unsafe(
    `select ${COLUMNS} from dewey_meaning_passages p join messages m on m.id = p.message_id
      where p.id = any($${parameter + 1}::bigint[]) and p.model = $${parameter + 2}::uuid and ${filter.sieve}`,
    [...filter.values, sql.array(ids, "BIGINT"), model.id],
  );
  return rows.map((row) => found(row, vector));
}

/** Of all messages that pass a filter, the newest, the passages whose signs are the nearest. */
async function readFiltered(sql: SQL, { model, vector, filter, upTo }: Question): Promise<Found[]> {
  const parameter = filter.values.length;
  const rows: Row[] = await sql.unsafe(
    `select * from (
      select ${COLUMNS}, bit_count(p.signs # $${parameter + 1}::bit varying) as distance
      from (select m.* from messages m where ${filter.alone} order by m.created_at desc limit ${MAX_FILTERED}) as m
      join dewey_meaning_passages p on p.message_id = m.id
      where p.model = $${parameter + 2}::uuid and p.id <= $${parameter + 3}::bigint
    ) as passing order by distance, passage desc limit ${CANDIDATES[0]}`,
    [...filter.values, signText(vector), model.id, upTo],
  );
  return rows.map((row) => found(row, vector));
}

interface Row extends Omit<Found, "likeness" | "mark"> {
  scale: number;
  bytes: Uint8Array;
}

function found({ scale, bytes, ...row }: Row, vector: Float32Array): Found {
  const signed = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  return { ...row, likeness: cosine(vector, { scale, bytes: signed }), mark: Buffer.from(bytes).toString("latin1") };
}

function best(passages: Found[], limit: number): Meant[] {
  const order = passages.toSorted((a, b) => b.likeness - a.likeness || b.passage - a.passage);
  const messages = new Map<string, Meant>();
  for (const { passage: _, ...each } of order) {
    if (messages.size === limit && !messages.has(each.id)) break;
    if (!messages.has(each.id)) messages.set(each.id, each);
  }
  return [...messages.values()];
}
