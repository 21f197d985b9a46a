import schema from "../../../sql/0001_schema.sql" with { type: "text" };
import followToTrash from "../../../sql/0002_follow_to_trash.sql" with { type: "text" };
import contextHistory from "../../../sql/0003_context_history.sql" with { type: "text" };
import quickerWords from "../../../sql/0004_quicker_words.sql" with { type: "text" };
import storedIn from "../../../sql/0005_stored_in.sql" with { type: "text" };
import appendPlan from "../../../sql/0006_append_plan.sql" with { type: "text" };
import searchMetadata from "../../../sql/0007_search_metadata.sql" with { type: "text" };
import vocabulary from "../../../sql/0008_vocabulary.sql" with { type: "text" };
import listKeys from "../../../sql/0009_list_keys.sql" with { type: "text" };
import searchLanguage from "../../../sql/0010_search_language.sql" with { type: "text" };
import rareRoles from "../../../sql/0011_rare_roles.sql" with { type: "text" };
import fewerIndexes from "../../../sql/0012_fewer_indexes.sql" with { type: "text" };
import calls from "../../../sql/0013_calls.sql" with { type: "text" };
import longerList from "../../../sql/0014_longer_list.sql" with { type: "text" };
import conversationFacts from "../../../sql/0015_conversation_facts.sql" with { type: "text" };
import searchForm from "../../../sql/0016_search_form.sql" with { type: "text" };
import lastSessions from "../../../sql/0017_last_sessions.sql" with { type: "text" };
import filters from "../../../sql/0018_filters.sql" with { type: "text" };
import formerMessages from "../../../sql/0019_former_messages.sql" with { type: "text" };
import audit from "../../../sql/0020_audit.sql" with { type: "text" };
import meaning from "../../../sql/0021_meaning.sql" with { type: "text" };
import importedFiles from "../../../sql/0022_imported_files.sql" with { type: "text" };
import plannerStatistics from "../../../sql/0023_planner_statistics.sql" with { type: "text" };
import meaningByModel from "../../../sql/0024_meaning_by_model.sql" with { type: "text" };
import wordsAhead from "../../../sql/0025_words_ahead.sql" with { type: "text" };
import sections from "../../../sql/0026_sections.sql" with { type: "text" };
import { DeweyError } from "../../errors.ts";
import type { SQL, TransactionSQL } from "bun";
import type { Log } from "../../log.ts";
import type { Database } from "./database.ts";
import { refuseWithoutCreate } from "./inspection.ts";
import { one } from "./one.ts";

interface Migration {
  name: string;
  sql: string;
  /**
   * The oldest server that still works once this is applied, by the newest migration that it knows. Absent from migrations
   * before 0020, when servers refused every database newer than themselves.
   */
  serves?: string;
}

/**
 * Every migration, in order. The list is explicit because a compiled binary contains files but no folders; a test compares
 * it with the folder. A released migration is never changed; a later one corrects it.
 *
 * **The promise.** The version before serves on the schema of this one, so that servers can be replaced one by one: the new
 * one migrates when it starts, and the others go on. What a migration may do follows from that:
 *
 * - It expands: tables, functions, indexes, and columns that are nullable or have a constant default. It drops, renames and
 *   narrows nothing that the version before reads, writes or calls, and changes no function's parameters or meaning for it.
 * - What is of no more use is removed one version later (contract). Such a migration `serves` only those that no longer use
 *   it, and an older server says so when it starts.
 * - It holds no lock on `messages` or `conversations` for longer than a moment: no index is built on them within it, no row
 *   rewritten, no constraint checked. The server does that afterwards, in steps, as `src/store/backfill.ts` does, or with
 *   `create index concurrently`.
 *
 * `test/store/database/promise.test.ts` prepares the statements of the version before on this schema, and
 * `bun run rolling` lets both versions serve one database.
 *
 * Of 0015 to 0019, which are older than the promise: 0015, 0017 and 0019 keep it. 0016 changes the form of words: what a
 * server from before it stores after the rebuild of the index is found by some of its words only, until `dewey reindex`.
 * 0018 and 0019 build indexes on `messages` within the migration, and nothing is stored meanwhile (about 10 s for a million
 * messages); the proxy keeps it. No server from before 0020 starts on a later schema; one that runs goes on.
 */
export const migrations: readonly Migration[] = [
  { name: "0001_schema", sql: schema },
  { name: "0002_follow_to_trash", sql: followToTrash },
  { name: "0003_context_history", sql: contextHistory },
  { name: "0004_quicker_words", sql: quickerWords },
  { name: "0005_stored_in", sql: storedIn },
  { name: "0006_append_plan", sql: appendPlan },
  { name: "0007_search_metadata", sql: searchMetadata },
  { name: "0008_vocabulary", sql: vocabulary },
  { name: "0009_list_keys", sql: listKeys },
  { name: "0010_search_language", sql: searchLanguage },
  { name: "0011_rare_roles", sql: rareRoles },
  { name: "0012_fewer_indexes", sql: fewerIndexes },
  { name: "0013_calls", sql: calls },
  { name: "0014_longer_list", sql: longerList },
  { name: "0015_conversation_facts", sql: conversationFacts },
  { name: "0016_search_form", sql: searchForm },
  { name: "0017_last_sessions", sql: lastSessions },
  { name: "0018_filters", sql: filters },
  { name: "0019_former_messages", sql: formerMessages },
  { name: "0020_audit", sql: audit, serves: "0019_former_messages" },
  { name: "0021_meaning", sql: meaning, serves: "0019_former_messages" },
  { name: "0022_imported_files", sql: importedFiles, serves: "0019_former_messages" },
  { name: "0023_planner_statistics", sql: plannerStatistics, serves: "0019_former_messages" },
  { name: "0024_meaning_by_model", sql: meaningByModel, serves: "0019_former_messages" },
  { name: "0025_words_ahead", sql: wordsAhead, serves: "0019_former_messages" },
  { name: "0026_sections", sql: sections, serves: "0019_former_messages" },
];

/** Key of the advisory lock for migrations; any number, the same in every Dewey. */
export const MIGRATION_LOCK = 3_393_900_001;

/** The table of applied migrations. `serves` tells an older server, which does not know a migration, whether it may go on. */
const RECORDS = `create table if not exists dewey_migrations (
  name text primary key,
  applied_at timestamptz not null default now()
);
alter table dewey_migrations add column if not exists serves text`;

/** The applied migrations, each with the oldest server that works with it, as far as that is known. */
type Applied = Map<string, string | null>;

/**
 * Migrates the database, each step in a transaction. Throws `conflict` when its schema is a newer Dewey's, unless all that is
 * newer still serves this one.
 */
export async function migrate(database: Database, log: Log): Promise<{ applied: number; newest: string }> {
  // Nearly every start finds nothing to do. It should not wait for a lock, and should notice a frozen database within the
  // deadline.
  const known = await database.retried(appliedMigrations);
  refuseNewer(known);
  const newer = unknownIn(known);
  if (newer.length > 0) {
    const hint = "it serves this version as well, while servers are replaced; upgrade this one, too";
    log.warn("the schema of the database is a newer Dewey's", { newest: newer.at(-1), hint });
  }
  if (migrations.some((migration) => !known.has(migration.name))) await apply(database);
  return { applied: migrations.length, newest: migrations.at(-1)?.name ?? "" };
}

async function appliedMigrations(sql: SQL): Promise<Applied> {
  const { exists } = await one<{ exists: boolean }>(sql`select to_regclass('dewey_migrations') is not null as exists`);
  if (!exists) return new Map();
  // A server from before 0020 has made the table without the column, and a row as JSON has what there is.
  const rows: { name: string; serves: string | null }[] = await sql`
    select name, to_jsonb(m) ->> 'serves' as serves from dewey_migrations m order by name`;
  return new Map(rows.map((row) => [row.name, row.serves]));
}

function unknownIn(applied: Applied): string[] {
  return [...applied.keys()].filter((name) => migrations.every((migration) => migration.name !== name));
}

async function apply(database: Database): Promise<void> {
  await database.exclusive(async (sql) => {
    await refuseWithoutCreate(sql);
    // Each transaction takes the lock, because a pooler may give each another session.
    for (const migration of migrations) {
      await sql.begin(async (transaction) => {
        await transaction`select pg_advisory_xact_lock(${MIGRATION_LOCK})`;
        const applied = await appliedMigrations(transaction);
        refuseNewer(applied);
        if (!applied.has(migration.name)) await applyWithin(transaction, [migration]);
      });
    }
  });
}

/** Throws `conflict` where a newer Dewey has migrated: what takes or replaces the whole store must know all of it. */
export async function refuseNewerSchema(sql: SQL): Promise<void> {
  const [unknown] = unknownIn(await appliedMigrations(sql));
  if (unknown === undefined) return;
  throw new DeweyError(
    "conflict",
    `the database has the migration ${unknown}, which this Dewey does not know; use the newer Dewey for this`,
  );
}

/** Applies migrations in the caller's transaction, which must hold the lock. */
export async function applyWithin(sql: TransactionSQL, chosen: readonly Migration[]): Promise<void> {
  await sql.unsafe(RECORDS);
  for (const migration of chosen) {
    await sql.unsafe(migration.sql);
    await sql`insert into dewey_migrations (name, serves) values (${migration.name}, ${migration.serves ?? null})`;
  }
}

/** Migrations are numbered, so their names sort by age. */
function refuseNewer(applied: Applied): void {
  const newest = migrations.at(-1)?.name ?? "";
  const unknown = unknownIn(applied).find((name) => (applied.get(name) ?? "~") > newest);
  if (unknown === undefined) return;
  const serves = applied.get(unknown);
  const needed = serves ? `; it needs a Dewey that knows ${serves}, and this one ends with ${newest}` : "";
  throw new DeweyError(
    "conflict",
    `the database has the migration ${unknown}, which this Dewey does not know${needed}; use a newer Dewey`,
  );
}
