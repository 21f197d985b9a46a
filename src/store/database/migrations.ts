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
import importedFiles from "../../../sql/0023_imported_files.sql" with { type: "text" };
import { DeweyError } from "../../errors.ts";
import type { SQL, TransactionSQL } from "bun";
import type { Database } from "./database.ts";
import { refuseWithoutCreate } from "./inspection.ts";
import { one } from "./one.ts";

interface Migration {
  name: string;
  sql: string;
}

/**
 * Every migration, in order. The list is explicit because a compiled binary contains files but no folders; a test compares
 * it with the folder. A released migration is never changed; a later one corrects it.
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
  { name: "0023_imported_files", sql: importedFiles },
];

/** Key of the advisory lock for migrations; any number, the same in every Dewey. */
export const MIGRATION_LOCK = 3_393_900_001;

/** The table of applied migrations. */
const RECORDS = `create table if not exists dewey_migrations (
  name text primary key,
  applied_at timestamptz not null default now()
)`;

/** Migrates the database, each step in a transaction. Throws `conflict` when its schema is newer than this Dewey's. */
export async function migrate(database: Database): Promise<{ applied: number; newest: string }> {
  // Nearly every start finds nothing to do. It should not wait for a lock, and should notice a frozen database within the
  // deadline.
  const known = await database.retried(appliedMigrations);
  refuseNewer(known);
  if (migrations.some((migration) => !known.has(migration.name))) await apply(database);
  return { applied: migrations.length, newest: migrations.at(-1)?.name ?? "" };
}

async function appliedMigrations(sql: SQL): Promise<Set<string>> {
  const { exists } = await one<{ exists: boolean }>(sql`select to_regclass('dewey_migrations') is not null as exists`);
  if (!exists) return new Set();
  const rows: { name: string }[] = await sql`select name from dewey_migrations`;
  return new Set(rows.map((row) => row.name));
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

/** Applies migrations in the caller's transaction, which must hold the lock. */
export async function applyWithin(sql: TransactionSQL, chosen: readonly Migration[]): Promise<void> {
  await sql.unsafe(RECORDS);
  for (const migration of chosen) {
    await sql.unsafe(migration.sql);
    await sql`insert into dewey_migrations (name) values (${migration.name})`;
  }
}

function refuseNewer(applied: Set<string>): void {
  const unknown = [...applied].find((name) => migrations.every((migration) => migration.name !== name));
  if (unknown === undefined) return;
  throw new DeweyError(
    "conflict",
    `the database has the migration ${unknown}, which this Dewey does not know; use a newer Dewey`,
  );
}
