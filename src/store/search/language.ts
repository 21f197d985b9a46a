import type { SQL, TransactionSQL } from "bun";
import { DeweyError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Database } from "../database/database.ts";

/** Any number, the same for all: whoever changes the language, or makes words anew in it, is alone at that. */
export const LANGUAGE_LOCK = 3_393_900_004;
/** Every PostgreSQL knows it; messages whose own language one does not know are given this. */
const FALLBACK = "english";

/** In which languages messages are searched, and how far it is to make all their words in the first of them. */
export interface Reindexing {
  /** The words of new messages are made in this language, by PostgreSQL's name for it. */
  language: string;
  /** Some earlier messages may still have words in these, which are searched too. */
  earlier: string[];
  under_way: boolean;
  /** Messages that are done, and how many there are about. */
  walked: number;
  total: number;
}

export async function readReindexing(sql: SQL): Promise<Reindexing> {
  const [row]: Reindexing[] = await sql`select language, earlier, started_at is not null as under_way,
    walked::float8 as walked, greatest(total, walked)::float8 as total from dewey_search_language`;
  if (!row) throw new DeweyError("internal", "the database does not say in which language it is searched");
  return { ...row, earlier: [...row.earlier] };
}

/**
 * Holds the language that is set against the one that the database has: a database without messages takes it at once, and
 * another goes on as it is, with a warning. Throws `invalid` for a language that the database does not know.
 */
export async function prepareLanguage(database: Database, wanted: string | undefined, log: Log): Promise<void> {
  if (wanted === undefined) return;
  const { language, isFresh } = await database.repeatable(async (sql) => {
    await refuseUnknown(sql, wanted);
    const [row] = await sql`select not exists (select from messages) as fresh`;
    return { ...(await readReindexing(sql)), isFresh: row.fresh };
  });
  if (language === wanted) return;
  if (isFresh) {
    await beginReindexing(database, wanted);
    return;
  }
  const remedy = `to change that, run: dewey reindex; to keep it, set DEWEY_SEARCH_LANGUAGE=${language}`;
  log.warn(`messages are searched in another language than the one that is set; ${remedy}`, { language, wanted });
}

/**
 * Begins to make the words of all messages anew, in another language if one is named: new messages have it at once, the
 * others are walked in the background. What is under way for that language already goes on. Throws `invalid` for a
 * language that the database does not know.
 */
export async function beginReindexing(database: Database, named: string | undefined): Promise<Reindexing> {
  return database.transaction(async (sql) => {
    await sql`select pg_advisory_xact_lock(${LANGUAGE_LOCK})`;
    const before = await readReindexing(sql);
    const language = named ?? before.language;
    await refuseUnknown(sql, language);
    if (before.under_way && before.language === language) return before;
    await sql`update dewey_search_language set language = ${language}, started_at = clock_timestamp(), walked_to = null,
      earlier = array(select distinct unnest(earlier || language) except select ${language}),
      walked = 0, total = (select coalesce(sum(message_count), 0) from conversations)`;
    if (before.language !== language) await sql`select dewey_search_with(${language}::regconfig)`;
    return readReindexing(sql);
  });
}

/**
 * Makes the functions fit the language that a backup has brought along. When this PostgreSQL does not know it (a newer one
 * knows more), all words are made anew in one that it does.
 */
export async function adoptLanguage(sql: TransactionSQL): Promise<void> {
  const known = new Set(await languagesOf(sql));
  const { language, earlier } = await readReindexing(sql);
  if (!known.has(language)) {
    const readable = earlier.filter((each) => known.has(each) && each !== FALLBACK);
    await sql`update dewey_search_language set language = ${FALLBACK}, earlier = ${sql.array(readable, "TEXT")}::text[],
      started_at = clock_timestamp(), walked_to = null, walked = 0,
      total = (select coalesce(sum(message_count), 0) from conversations)`;
  }
  await sql`select dewey_search_with(language::regconfig) from dewey_search_language`;
}

/** Whether a server's setting or a request names it, a person has said it with the setting or its flag. */
async function refuseUnknown(sql: SQL, language: string): Promise<void> {
  const known = await languagesOf(sql);
  if (known.includes(language)) return;
  const should = `should be one that the database knows (${known.join(", ")}), not ${JSON.stringify(language)}`;
  const remedy = "name one with DEWEY_SEARCH_LANGUAGE or --search-language";
  throw new DeweyError("invalid", `the search language ${should}; ${remedy}`, { field: "language" });
}

async function languagesOf(sql: SQL): Promise<string[]> {
  const rows: { name: string }[] =
    await sql`select cfgname::text as name from pg_ts_config where pg_ts_config_is_visible(oid) order by 1`;
  return rows.map(({ name }) => name);
}
