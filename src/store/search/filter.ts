import type { SQL } from "bun";
import { one } from "../database/one.ts";
import { storableMetadata } from "../exact.ts";
import type { Metadata } from "../exact.ts";
import { parseSnapshot } from "../snapshot.ts";
import { conversationConditions, meantBy, messageConditions, unmatchedOf } from "../narrowing.ts";
import type { Meant, Narrowing as Common, Unmatched } from "../narrowing.ts";
import { holds } from "./holding.ts";
import type { Sections } from "./holding.ts";
import type { Phrase, Required, SearchQuery } from "./query.ts";

/** Bookkeeping is left out, but for what people look for. */
const TALK = "(not m.bookkeeping or m.kind in ('title', 'summary'))";

/** All matches in a session or a conversation of up to this size are ranked. */
export const MAX_SCOPE_MESSAGES = 10_000;

/** Conditions of a search besides its words. */
export interface Narrowing extends Omit<Common, "start_date" | "end_date"> {
  conversation_id?: string | undefined;
  role?: string | undefined;
  /** Must be contained in the message's metadata. */
  metadata?: Metadata | undefined;
  /** Origin of the message: `metadata.source`, such as "proxy". */
  source?: string | undefined;
  /** Also bookkeeping, which is left out by default but for titles and summaries: people look for these. */
  bookkeeping?: boolean | undefined;
  /** Inclusive. */
  start_date?: Date | undefined;
  /** Exclusive. */
  end_date?: Date | undefined;
}

/** The conversations that a search is narrowed to by their facts. */
export interface Scope {
  /** Statement that selects their ids, to which conditions may be added. */
  conversations: string;
  messages: number;
}

/** What a query requires, of messages of which some may have their words in sections. */
export interface RequiredWords extends Pick<SearchQuery, "required"> {
  isSectioned: boolean;
}

/** Conditions on `messages m`, as trusted SQL with parameters for the caller's values. */
export interface Filter {
  condition: string;
  /**
   * The same condition, written to be checked on each message that words or times have found: finding the messages of a large
   * session by an index takes longer.
   */
  sieve: string;
  /** The same condition, for messages that are found by nothing else. */
  alone: string;
  /** Condition for visible messages, neighbours included: those that existed at the first page. */
  known: string;
  values: unknown[];
  /** Undefined where no message has its words in sections. */
  sections: Sections | undefined;
  /** Number of messages in the named session or conversation, if one is named. */
  scopeMessages: number | undefined;
  /** The conversations that are narrowed to, when their facts are all that names them. */
  scope: Scope | undefined;
  from: Date | undefined;
  until: Date | undefined;
}

/**
 * Builds a condition on `messages m` from everything that the request and the query ask for besides words. A snapshot, that
 * of an earlier page, limits the search to the messages that were visible in it.
 */
export async function filterOf(
  sql: SQL,
  narrowing: Narrowing,
  query: RequiredWords,
  snapshot: string | undefined,
): Promise<Filter> {
  const values: unknown[] = [];
  // JSON is sent as text: Bun may write a text that is sent as JSON as a string within JSON.
  const value = (given: unknown, type: string) => `$${values.push(given)}::${type === "jsonb" ? "text::jsonb" : type}`;
  const known = snapshot === undefined ? "true" : await storedBefore(sql, snapshot);
  const byIndex: string[] = [];
  const bySieve: string[] = [];
  const { session_id, conversation_id, role, source, metadata, start_date, end_date, ...others } = narrowing;
  const meant = await meantBy(sql, others);
  // Bookkeeping that is asked for by its kind is meant.
  const isTalk = narrowing.bookkeeping || narrowing.kind !== undefined ? [] : [TALK];
  const conditions = [
    "not exists (select from conversations c where c.id = m.conversation_id and c.deleted_at is not null)",
    ...isTalk,
    ...(snapshot === undefined ? [] : [known]),
  ];
  const ofMessages = messageConditions(others, meant, value);
  if (session_id !== undefined) {
    const ids = `select id from conversations where session_id = ${value(session_id, "text")}`;
    byIndex.push(`m.conversation_id = any (array(${ids}))`);
    bySieve.push(`(m.conversation_id in (${ids})) is true`);
  }
  const scopeMessages = await messagesIn(sql, narrowing, meant);
  const places = conversationConditions(others, meant, value);
  const ids = `select id from conversations where ${places.join(" and ")}`;
  // Few messages are found by their conversations. Among many, a sieve looks up the conversations by hash.
  const isSmall = scopeMessages !== undefined && scopeMessages <= MAX_SCOPE_MESSAGES;
  const byIds = `m.conversation_id = any (array(${ids}))`;
  const byHash = `(m.conversation_id in (${ids})) is true`;
  if (conversation_id !== undefined) conditions.push(`m.conversation_id = ${value(conversation_id, "uuid")}`);
  if (role !== undefined) conditions.push(`m.role = ${value(role, "text")}`);
  // All as containment, which the index over words and metadata supports.
  for (const part of [source === undefined ? null : { source }, metadata ?? null]) {
    if (part) conditions.push(`m.metadata @> ${value(storableMetadata(part).readable, "jsonb")}`);
  }
  if (start_date !== undefined) conditions.push(`m.created_at >= ${value(start_date, "timestamptz")}`);
  if (end_date !== undefined) conditions.push(`m.created_at < ${value(end_date, "timestamptz")}`);
  for (const required of query.required) conditions.push(satisfies(required, query.isSectioned, value));
  const all = (more: string[], place: string) =>
    [...conditions, ...more, ...(places.length > 0 ? [place] : [])].join(" and ");
  const { besideWords, alone } = ofMessages;
  // Words are required by the index over words and metadata, which then finds tools as well.
  const byNames = query.required.length > 0 ? besideWords : alone;
  return {
    condition: all([...besideWords, ...byIndex], isSmall ? byIds : byHash),
    sieve: all([...besideWords, ...bySieve], byHash),
    alone: all([...byNames, ...byIndex], isSmall ? byIds : `m.conversation_id in (${ids})`),
    known,
    values,
    sections: query.isSectioned ? { wanted: wantedOf(query.required) } : undefined,
    scopeMessages,
    scope:
      places.length > 0 && scopeMessages !== undefined ? { conversations: ids, messages: scopeMessages } : undefined,
    from: start_date,
    until: end_date,
  };
}

/** A text from so many bytes on may have more words than PostgreSQL has positions: a word and a space have two. */
const CROWDED_BYTES = 2 * 16_383;
/** What `ts_rank` gives a word with 254 places or more, of which 255 are kept. It is quick; counting them is not. */
const CROWDED_RANK = 0.9976;

/**
 * A condition on the words of `m`. A phrase is looked for in the text itself where positions of its words may be lacking. Each
 * term is asked of all vectors of a long message: one holds a word, and none may hold an unwanted one.
 */
function satisfies(
  { query, terms, phrase }: Required,
  isSectioned: boolean,
  value: (given: unknown, type: string) => string,
): string {
  const held = (words: string) => holds(`${value(words, "text")}::tsquery`, isSectioned);
  const all = isSectioned
    ? `(${terms.map((term) => (term.isUnwanted ? `not ${held(term.query)}` : held(term.query))).join(" or ")})`
    : held(query);
  if (phrase === undefined) return all;
  const isInText = `(${isCrowded(phrase, isSectioned, value)}) and m.content ~* ${value(phrase.pattern, "text")}`;
  const has = held(phrase.words);
  return phrase.isUnwanted ? `${all} and not (${has} and ${isInText})` : `${has} and (${all} or ${isInText})`;
}

/** A condition that a vector of `m` may lack positions of a phrase's words. One in sections has room for all but those of a word. */
function isCrowded(
  { words, each }: Phrase,
  isSectioned: boolean,
  value: (given: unknown, type: string) => string,
): string {
  const crowds = (vector: string) =>
    each.map((word) => `ts_rank('{1,1,1,1}', ${vector}, ${value(word, "text")}::tsquery) >= ${CROWDED_RANK}`);
  const isLarge = `octet_length(m.content) >= ${CROWDED_BYTES}`;
  if (!isSectioned) return [isLarge, ...crowds("m.search")].join(" or ");
  return [
    `${isLarge} and not exists (select from message_sections s where s.message_id = m.id)`,
    ...crowds("m.search"),
    `m.id in (select s.message_id from message_sections s
      where s.search @@ ${value(words, "text")}::tsquery and (${crowds("s.search").join(" or ")}))`,
  ].join(" or ");
}

/** What the required terms want. */
function wantedOf(required: Required[]): string[] {
  return required.flatMap(({ terms }) => terms.flatMap(({ query, isUnwanted }) => (isUnwanted ? [] : [query])));
}

/** The filters of a search that no message meets by itself. */
export function meetsNone(sql: SQL, narrowing: Narrowing): Promise<Unmatched[]> {
  const { bookkeeping, ...filters } = narrowing;
  return unmatchedOf(sql, filters, async (single: Narrowing) => {
    const { alone, values } = await filterOf(
      sql,
      { ...single, bookkeeping },
      { required: [], isSectioned: false },
      undefined,
    );
    const { found } = await one<{ found: boolean }>(
      sql.unsafe(`select exists (select from messages m where ${alone}) as found`, values),
    );
    return found;
  });
}

/** Returns the transaction's snapshot as PostgreSQL writes it: `xmin:xmax:` and the ids of transactions in progress. */
async function currentSnapshot(sql: SQL): Promise<string> {
  const { snapshot } = await one<{ snapshot: string }>(sql`select pg_current_snapshot()::text as snapshot`);
  return snapshot;
}

/**
 * Builds a condition for messages that are visible in the snapshot, by the id of the transaction that stored them: the same
 * as `pg_visible_in_snapshot`, written as comparisons. An id that this cluster has not assigned yet was copied from another
 * cluster, with a message that counts as old.
 */
async function storedBefore(sql: SQL, snapshot: string): Promise<string> {
  const { end = 0n, inFlight = [] } = parseSnapshot(snapshot) ?? {};
  const { end: present = 0n } = parseSnapshot(await currentSnapshot(sql)) ?? {};
  const ended = inFlight.length === 0 ? "" : ` and m.stored_in not in (${inFlight.join(",")})`;
  return `(m.stored_in is null or m.stored_in < ${end}${ended} or m.stored_in >= ${present})`;
}

/** Counts the messages of the conversations that the narrowing names by their facts; undefined when it names none. */
async function messagesIn(sql: SQL, narrowing: Narrowing, meant: Meant): Promise<number | undefined> {
  const values: unknown[] = [];
  const value = (given: string, type: string) => `$${values.push(given)}::${type}`;
  const { conversation_id: id } = narrowing;
  const conditions = [
    ...conversationConditions(narrowing, meant, value),
    ...(id === undefined ? [] : [`id = ${value(id, "uuid")}`]),
  ];
  if (conditions.length === 0) return undefined;
  const { messages } = await one<{ messages: number }>(
    sql.unsafe(
      `select coalesce(sum(message_count), 0)::integer as messages from conversations where ${conditions.join(" and ")}`,
      values,
    ),
  );
  return messages;
}
