import type { SQL } from "bun";
import { wordOf } from "./talk.ts";

/** The queries of the speed bench: five kinds, equally many of each. */
export const KINDS = ["rare word", "common word", "common pair", "seven words", "filtered"] as const;
export type Kind = (typeof KINDS)[number];

/** The most common words, in 1 to 13 of 100 messages, and the step between those queried. */
const COMMON_WORDS = 200;
const COMMON_STEP = 5;
/** Range of matches of a rare word. */
const RARE_LEAST = 2;
const RARE_MOST = 50;
const QUESTION_WORDS = 7;
const DAY_MS = 86_400_000;

export interface Filters {
  session_id?: string;
  role?: string;
  source?: string;
  tool?: string;
  metadata?: Record<string, string>;
  start_date?: string;
  end_date?: string;
}

export interface Query {
  kind: Kind;
  text: string;
  filters: Filters;
}

/** Generates the same queries every time, this many per kind, kinds alternating. */
export async function makeQueries(sql: SQL, ofEach: number): Promise<Query[]> {
  const rare = await rareWords(sql, ofEach);
  const common = (index: number) => wordOf((index * COMMON_STEP) % COMMON_WORDS);
  const queries: Query[] = [];
  for (let index = 0; index < ofEach; index += 1) {
    const add = (kind: Kind, text: string, filters: Filters = {}) => queries.push({ kind, text, filters });
    const message = await aMessage(sql, (index + 0.5) / ofEach);
    add("rare word", rare[index] ?? "");
    add("common word", common(index));
    add("common pair", `${common(index)} ${common(index * 7 + 13)}`);
    add("seven words", message.words.slice(0, QUESTION_WORDS).join(" "));
    add("filtered", `${common(index)} ${message.words[0]}`, filtersFor(message, index));
  }
  return queries;
}

async function rareWords(sql: SQL, wanted: number): Promise<string[]> {
  const words: string[] = [];
  for (let rank = 200; words.length < wanted; rank = Math.ceil(rank * 1.02) + 1) {
    // Starts over with other words when there are few messages.
    const word = wordOf(rank % 200_000);
    const [row] = await sql`select count(*)::integer as count
      from (select from messages where search @@ ${`'${word}'`}::text::tsquery limit ${RARE_MOST + 1}) as counted`;
    if (row.count >= RARE_LEAST && row.count <= RARE_MOST && !words.includes(word)) words.push(word);
  }
  return words;
}

interface Message {
  session_id: string;
  role: string;
  metadata: Record<string, string> | null;
  created_at: Date;
  /** Its distinct words, without stop words. */
  words: string[];
}

/** A message long enough for a query, at this share of the total time; every other one is recorded. */
async function aMessage(sql: SQL, share: number): Promise<Message> {
  const rows = await sql`
    select c.session_id, m.role, m.metadata, m.created_at, m.content from messages m join conversations c on c.id = m.conversation_id
    where m.created_at >= (select min(created_at) + ${share}::float8 * (max(created_at) - min(created_at)) from messages)
      and m.metadata ? 'tool' order by m.created_at limit 200`;
  for (const row of rows) {
    const words = [...new Set(String(row.content).match(/\b(?:[a-z][aeiou]){2,3}[kbpfx]\b/g))];
    if (words.length >= QUESTION_WORDS && words.length < 5 * QUESTION_WORDS) return { ...row, words };
  }
  throw new Error("no message is long enough for a query");
}

/** Filters in turn, each matching the message. */
function filtersFor(message: Message, index: number): Filters {
  const { session_id, role, metadata, created_at } = message;
  const day = (days: number) => new Date(created_at.getTime() + days * DAY_MS).toISOString();
  const choices: Filters[] = [
    { session_id },
    { role },
    { tool: metadata?.["tool"] ?? "" },
    { source: "proxy" },
    { metadata: { upstream: metadata?.["upstream"] ?? "" } },
    { start_date: day(-15), end_date: day(15) },
  ];
  return choices[index % choices.length] ?? {};
}

/** The prototype's two statements, for its hits and their number, with the filters of the query. */
export async function askPrototype(sql: SQL, { text, filters }: Query, limit: number): Promise<void> {
  const values: unknown[] = [text];
  const value = (given: unknown, type: string) => `$${values.push(given)}::${type}`;
  const conditions = ["to_tsvector('english', m.content) @@ plainto_tsquery('english', $1)"];
  if (filters.session_id) conditions.push(`c.session_id = ${value(filters.session_id, "text")}`);
  if (filters.role) conditions.push(`m.role = ${value(filters.role, "text")}`);
  if (filters.tool) conditions.push(`m.metadata ->> 'tool' = ${value(filters.tool, "text")}`);
  if (filters.source) conditions.push(`m.metadata ->> 'source' = ${value(filters.source, "text")}`);
  if (filters.metadata) conditions.push(`m.metadata @> ${value(JSON.stringify(filters.metadata), "text")}::jsonb`);
  if (filters.start_date) conditions.push(`m.created_at >= ${value(filters.start_date, "timestamptz")}`);
  if (filters.end_date) conditions.push(`m.created_at < ${value(filters.end_date, "timestamptz")}`);
  const matching = `from prototype.messages m join prototype.conversations c on c.id = m.conversation_id
    where ${conditions.join(" and ")}`;
  await sql.unsafe(
    `select m.id, m.conversation_id, m.turn_number, m.role, m.content, m.created_at, m.metadata, c.session_id,
        c.metadata as conversation_metadata,
        ts_rank(to_tsvector('english', m.content), plainto_tsquery('english', $1)) as rank
      ${matching} order by rank desc, m.created_at desc limit ${limit} offset 0`,
    values,
  );
  await sql.unsafe(`select count(*) ${matching}`, values);
}
