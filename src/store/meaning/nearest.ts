import type { SQL } from "bun";
import type { Filter, Narrowing } from "../search/filter.ts";
import { MAX_COPIES_NAMED, REPEATED } from "../search/repetitions.ts";
import type { Repetition } from "../search/repetitions.ts";
import { inContext } from "./context.ts";
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
/** Digits behind the point to which passages of the same text are equally like a query. */
const LIKENESS_DIGITS = 3;
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
  /** Bytes of its content. */
  bytes: number;
  /** The cosine between the query and the passage, and in the order that is returned, with what was said around it. */
  likeness: number;
  /** When several of the messages found hold its text; it is the newest of them. */
  repeated?: Repetition | undefined;
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

/** Finds the messages that mean the most like a query, each by its best passage and what is near it, the best first. */
export async function nearest(sql: SQL, question: Question): Promise<Meant[]> {
  const { index, vector, upTo, filter, narrowing, limit } = question;
  const within = await conversationsIn(sql, narrowing);
  const signs = signsOf(vector);
  let passages: Found[] = [];
  for (const count of CANDIDATES) {
    const ids = await index.nearest(signs, { count, upTo, within, role: narrowing.role });
    passages = await readPassages(sql, question, ids);
    if (ids.length < count || new Set(passages.map(({ id }) => id)).size >= limit) return best(sql, passages, question);
  }
  // A filter that few of the nearest pass is narrow, or what passes it means something else.
  const others = filter.values.length > 0 ? await readFiltered(sql, question) : [];
  return best(sql, [...passages, ...others], question);
}

interface Found extends Meant {
  passage: number;
}

const COLUMNS = `p.id::float8 as passage, p.starts_at as start, p.ends_at as end, p.scale, p.bytes as vector, m.id,
  octet_length(m.content) as bytes,
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

interface Row extends Omit<Found, "likeness"> {
  scale: number;
  vector: Uint8Array;
}

function found({ scale, vector: kept, ...row }: Row, vector: Float32Array): Found {
  const bytes = new Int8Array(kept.buffer, kept.byteOffset, kept.length);
  return { ...row, likeness: cosine(vector, { scale, bytes }) };
}

async function best(sql: SQL, passages: Found[], question: Question): Promise<Meant[]> {
  const order = passages.toSorted((a, b) => b.likeness - a.likeness || b.passage - a.passage);
  const messages = new Map<string, Meant>();
  for (const { passage: _, ...each } of order) {
    if (!messages.has(each.id)) messages.set(each.id, each);
  }
  const single = await withoutCopies(sql, [...messages.values()]);
  return (await inContext(sql, single, question)).slice(0, question.limit);
}

/**
 * Joins messages that hold the same text, as words do, from three on. Texts are compared by their hashes, and only those of
 * the same length whose passages are at the same place and as like the query; vectors need not be equal to the last digit.
 */
async function withoutCopies(sql: SQL, messages: Meant[]): Promise<Meant[]> {
  const looksOf = ({ role, bytes, start, end, likeness }: Meant) =>
    [role, bytes, start, end, likeness.toFixed(LIKENESS_DIGITS)].join(" ");
  const alike = [...Map.groupBy(messages, looksOf).values()].filter(({ length }) => length >= REPEATED).flat();
  if (alike.length === 0) return messages;
  const ids = sql.array(
    alike.map(({ id }) => id),
    "UUID",
  );
  const rows: { id: string; hash: string }[] = await sql`
    select id, role || hashtextextended(content, 0) as hash from messages where id = any(${ids}::uuid[])`;
  const hashes = new Map(rows.map(({ id, hash }) => [id, hash]));
  const same = Map.groupBy(messages, ({ id }) => hashes.get(id) ?? id);
  return messages.flatMap((message) => {
    const copies = same.get(hashes.get(message.id) ?? message.id) ?? [];
    if (copies.length < REPEATED) return [message];
    if (copies[0] !== message) return [];
    const [newest = message, ...others] = copies.toSorted((a, b) => b.time - a.time || (a.id < b.id ? 1 : -1));
    const also = others.map(({ id, conversation, turn }) => ({ message_id: id, conversation_id: conversation, turn }));
    return [{ ...newest, repeated: { times: copies.length, also: also.slice(0, MAX_COPIES_NAMED) } }];
  });
}
