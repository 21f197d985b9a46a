import type { SQL } from "bun";
import type { Bound } from "../moment.ts";
import { nearest } from "../nearest.ts";
import { folderHaystack, folderNeedle } from "./place.ts";
import { storableMetadata } from "./exact.ts";

/** What lists and searches narrow by: facts of a conversation, and of messages in it. */
export interface Narrowing {
  session_id?: string | undefined;
  /** The program that held the conversation, such as codex. */
  client?: string | undefined;
  /** A folder, with those below it: an absolute path, or the last names of one, such as `dewey`. */
  folder?: string | undefined;
  /** The server behind the proxy. */
  upstream?: string | undefined;
  /** The branch of version control. */
  branch?: string | undefined;
  /** Words of the title, or their beginnings. */
  title?: string | undefined;
  /** Tool of a call or its result: `metadata.tool`. */
  tool?: string | undefined;
  /** What a message is: prompt, answer, tool_use … */
  kind?: string | undefined;
  /** Only calls that failed. */
  errors?: boolean | undefined;
  start_date?: Bound | undefined;
  end_date?: Bound | undefined;
}

/** A filter that nothing meets, with names that it could have had, the likeliest first. */
export interface Unmatched {
  filter: string;
  value: string;
  known?: string[];
}

/** Names looked through at most; each takes a step in an index. */
const MAX_NAMES = 10_000;
/** Names listed for one that is unknown. */
const MAX_SHOWN = 20;

/** A filter whose value is a name, and where the names are. */
interface Facet {
  table: "conversations" | "messages m";
  /** As in the index of 0018. */
  expression: string;
  /** Whether a name is meant; case is ignored. */
  isMeant: (name: string, given: string) => boolean;
}

const isSame = (name: string, given: string) => name.toLowerCase() === given.toLowerCase();

const facets = {
  client: { table: "conversations", expression: "left(client, 200)", isMeant: isSame },
  folder: {
    table: "conversations",
    expression: "folder",
    isMeant: (name, given) => folderHaystack(name).includes(folderNeedle(given)),
  },
  upstream: { table: "conversations", expression: "left(metadata ->> 'upstream', 200)", isMeant: isSame },
  branch: { table: "conversations", expression: "left(branch, 200)", isMeant: isSame },
  tool: { table: "messages m", expression: "left(m.metadata ->> 'tool', 200)", isMeant: isSame },
  kind: {
    table: "messages m",
    expression: "m.kind",
    isMeant: (name, given) => isSame(name.replaceAll("-", "_"), given.replaceAll(/[-\s]/g, "_")),
  },
} as const satisfies Record<string, Facet>;

export type FacetName = keyof typeof facets;
const facetNames = Object.keys(facets) as FacetName[];

/** The stored names that are meant by each filter that is given; none for a folder among more than are looked through. */
export type Meant = Partial<Record<FacetName, string[]>>;

/** Looks up which stored names the filters mean. */
export async function meantBy(sql: SQL, narrowing: Pick<Narrowing, FacetName>): Promise<Meant> {
  const meant: Meant = {};
  for (const name of facetNames) {
    const given = narrowing[name];
    if (given === undefined) continue;
    const { isMeant }: Facet = facets[name];
    const known = await namesOf(sql, name);
    // Other names are mostly given as they are stored; a folder stands for those below it.
    if (name === "folder" && known.length === MAX_NAMES) continue;
    const names = known.filter((each) => isMeant(each, given));
    // A name that there is not narrows to nothing.
    meant[name] = names.length > 0 ? names : [given];
  }
  return meant;
}

/**
 * The filters that nothing meets by itself. `isMet` tells of a narrowing by one filter alone whether anything meets it. For a
 * narrowing that finds nothing; the last thing in its transaction.
 */
export async function unmatchedOf<Filters extends object>(
  sql: SQL,
  filters: Filters,
  isMet: (alone: Filters) => Promise<boolean>,
): Promise<Unmatched[]> {
  // The planner hopes to come across one soon, and would read all messages when there is none.
  await byIndexes(sql);
  const unmatched: Unmatched[] = [];
  for (const [filter, given] of Object.entries<unknown>(filters as Record<string, unknown>)) {
    if (given === undefined || (await isMet({ [filter]: given } as Filters))) continue;
    const value = textOf(given);
    const facet = facetNames.find((name) => name === filter);
    unmatched.push({ filter, value, ...(facet === undefined ? {} : { known: await knownNames(sql, facet, value) }) });
  }
  return unmatched;
}

/**
 * Keeps the rest of the transaction from reading whole tables. For a filter that many messages meet, the planner would: it
 * takes them to be spread evenly, and a limit to be reached soon.
 */
export async function byIndexes(sql: SQL): Promise<void> {
  await sql`select set_config('enable_seqscan', 'off', true)`;
}

/** A filter's value as it was given. */
function textOf(given: unknown): string {
  if (typeof given === "string") return given;
  if (given instanceof Date) return given.toISOString();
  const written = typeof given === "object" && given !== null && "written" in given ? given.written : undefined;
  return typeof written === "string" ? written : JSON.stringify(given);
}

/** The names that could be given, the likeliest first. */
async function knownNames(sql: SQL, facet: FacetName, given: string): Promise<string[]> {
  const names = await namesOf(sql, facet);
  const likeliest = nearest(given, names);
  const others = names.filter((name) => name !== likeliest);
  return [...(likeliest === undefined ? [] : [likeliest]), ...others].slice(0, MAX_SHOWN);
}

/** As in the index of 0018. */
const FAILED = '{"outcome": "error"}';

/** All names of a facet, in order: each is one step in its index. */
async function namesOf(sql: SQL, facet: FacetName): Promise<string[]> {
  const { table, expression } = facets[facet];
  const rows: { name: string }[] = await sql.unsafe(`
    with recursive known as (
      (select ${expression} as name from ${table} where ${expression} is not null order by 1 limit 1)
      union all
      select (select ${expression} from ${table} where ${expression} > known.name order by 1 limit 1)
      from known where known.name is not null
    )
    select name from known where name is not null limit ${MAX_NAMES}`);
  return rows.map(({ name }) => name);
}

/** Puts a value into a statement: as a parameter, or as a literal. */
export type Value = (given: string, type: "text" | "jsonb") => string;

/** As a literal that means the same whatever the database's settings. */
export const literally: Value = (given, type) => `E'${given.replaceAll("\\", "\\\\").replaceAll("'", "''")}'::${type}`;

/** Conditions on `conversations` for the facts of a conversation, its times excepted. */
export function conversationConditions(narrowing: Narrowing, meant: Meant, value: Value): string[] {
  const { session_id, folder, title } = narrowing;
  return [
    ...(session_id === undefined ? [] : [`session_id = ${value(session_id, "text")}`]),
    ...(folder === undefined || meant.folder !== undefined ? [] : [isWithin(folder, value)]),
    ...(["client", "folder", "upstream", "branch"] as const).flatMap((name) => isAmong(name, meant, value)),
    ...(title === undefined ? [] : [`id in (${titled(title, value)})`]),
  ];
}

/** The same as `isMeant` of a folder, on each conversation's. `chr(92)` is a backslash, whatever the database's settings. */
function isWithin(folder: string, value: Value): string {
  const haystack = `'|' || regexp_replace(replace(lower(folder), chr(92), '/'), '/$', '') || '/'`;
  return `strpos(${haystack}, ${value(folderNeedle(folder), "text")}) > 0`;
}

/** The conversations whose titles have words that begin with these. */
function titled(title: string, value: Value): string {
  const words = `unnest(dewey_title_words(${value(title, "text")})) as word`;
  const prefix = String.raw`'''' || replace(replace(word, '\', '\\'), '''', '''''') || ''':*'`;
  return `select conversation_id from conversation_titles
    where words @@ (select string_agg(${prefix}, ' & ')::tsquery from ${words})`;
}

/** Conditions on `messages m` for one of a conversation's messages. */
interface MessageConditions {
  /** By the index over words and metadata, beside words. */
  besideWords: string[];
  /** By that over tools and conversations. */
  alone: string[];
}

/** Both forms hold the same values. */
export function messageConditions(narrowing: Pick<Narrowing, "errors">, meant: Meant, value: Value): MessageConditions {
  const failed = narrowing.errors === true ? [`m.metadata @> ${value(FAILED, "jsonb")}`] : [];
  const others = [...isAmong("kind", meant, value), ...failed];
  if (meant.tool === undefined) return { besideWords: others, alone: others };
  const tools = meant.tool.map((tool) => value(storableMetadata({ tool }).readable ?? "null", "jsonb"));
  const names = tools.map((tool) => `${tool} ->> 'tool'`);
  return {
    besideWords: [`(${tools.map((tool) => `m.metadata @> ${tool}`).join(" or ")})`, ...others],
    alone: [`${facets.tool.expression} in (${names.join(", ")})`, ...others],
  };
}

function isAmong(facet: FacetName, meant: Meant, value: Value): string[] {
  const names = meant[facet];
  if (names === undefined) return [];
  const { expression } = facets[facet];
  const values = names.map((name) => value(name, "text"));
  return [values.length === 1 ? `${expression} = ${values[0]}` : `${expression} in (${values.join(", ")})`];
}
