import type { SQL, TransactionSQL } from "bun";
import { DeweyError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Database } from "../database/database.ts";
import { one } from "../database/one.ts";

/** Arbitrary key, the same on every server: one transaction at a time changes the language or reindexes messages. */
export const LANGUAGE_LOCK = 3_393_900_004;
/** Replaces a backup's language that this PostgreSQL lacks; every PostgreSQL has this one. */
const FALLBACK = "english";

/** The languages in which messages are searched, and the progress of reindexing them in the current one. */
export interface Reindexing {
  /** Text search configuration with which new messages are indexed. */
  language: string;
  /** Configurations with which some earlier messages may still be indexed; they are searched too. */
  earlier: string[];
  under_way: boolean;
  /** Messages done. */
  walked: number;
  /** Estimated number of messages. */
  total: number;
}

export async function readReindexing(sql: SQL): Promise<Reindexing> {
  const [row]: Reindexing[] = await sql`select language, earlier, started_at is not null as under_way,
    walked::float8 as walked, greatest(total, walked)::float8 as total from dewey_search_language`;
  if (!row)
    throw new DeweyError(
      "internal",
      "the database does not record its search language: dewey_search_language is empty",
    );
  return { ...row, earlier: [...row.earlier] };
}

/**
 * Compares the configured language with the database's. An empty database adopts it at once; one with messages keeps its
 * own, with a warning. Throws `invalid` for a language that the database does not know.
 */
export async function prepareLanguage(database: Database, wanted: string | undefined, log: Log): Promise<void> {
  if (wanted === undefined) return;
  const { language, isFresh } = await database.retried(async (sql) => {
    await refuseUnknown(sql, wanted);
    const { isFresh } = await one<{ isFresh: boolean }>(sql`select not exists (select from messages) as "isFresh"`);
    return { ...(await readReindexing(sql)), isFresh };
  });
  if (language === wanted) return;
  if (isFresh) {
    await beginReindexing(database, wanted);
    return;
  }
  const remedy = `to change that, run: dewey reindex; to keep it, set DEWEY_SEARCH_LANGUAGE=${language}`;
  log.warn(`messages are indexed in another language than the configured one; ${remedy}`, { language, wanted });
}

/**
 * Starts rebuilding the search vectors of all messages, optionally in another language: new messages use it at once, the
 * others are rebuilt in the background. A rebuild in progress for the same language continues. Throws `invalid` for a
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
 * Adapts the database's functions to the languages of a recovered backup. Those that this PostgreSQL does not know (newer
 * versions know more) are dropped, because every search would fail on them, and all messages are reindexed. Returns a warning
 * for each. Throws `invalid` if the backup has no language.
 */
export async function adoptLanguage(sql: TransactionSQL): Promise<string[]> {
  const known = new Set(await languagesOf(sql));
  const [found]: { language: string; earlier: string[] }[] =
    await sql`select language, earlier from dewey_search_language`;
  if (!found) throw new DeweyError("invalid", "the backup is damaged: it names no search language");
  const language = known.has(found.language) ? found.language : FALLBACK;
  const earlier = found.earlier.filter((each) => known.has(each) && each !== language);
  const unknown = [...new Set([found.language, ...found.earlier])].filter((each) => !known.has(each));
  if (unknown.length > 0) {
    await sql`update dewey_search_language set language = ${language}, earlier = ${sql.array(earlier, "TEXT")}::text[],
      started_at = clock_timestamp(), walked_to = null, walked = 0,
      total = (select coalesce(sum(message_count), 0) from conversations)`;
  }
  await sql`select dewey_search_with(language::regconfig) from dewey_search_language`;
  return unknown.map((each) => {
    const reason = `this database does not know the search language ${JSON.stringify(each)} of the backup`;
    return `${reason}; the words of its messages are rebuilt in ${language}`;
  });
}

/** Throws `invalid` for an unknown language. A request's language also comes from the setting or its flag. */
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
