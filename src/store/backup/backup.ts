import type { TransactionSQL } from "bun";
import { z } from "zod";
import packageJson from "../../../package.json" with { type: "json" };
import { DeweyError } from "../../errors.ts";
import { MAX_PIECE_BYTES, damaged, foreign, packed, unpacked } from "./archive.ts";
import type { ArchivePiece } from "./archive.ts";
import type { Database } from "../database/database.ts";
import { MIGRATION_LOCK, applyWithin, migrations, refuseNewerSchema } from "../database/migrations.ts";
import { one } from "../database/one.ts";
import { inSnapshot } from "../database/snapshot.ts";
import { sqlState } from "../database/lost.ts";
import { LANGUAGE_LOCK, adoptLanguage } from "../search/language.ts";
import { MEANING_LOCK } from "../meaning/models.ts";
import { VOCABULARY_LOCK } from "../search/vocabulary.ts";

/** Every table, each after the tables that it references. A test compares the list with the schema. */
export const tables = [
  // First, because searches read it first; locking in the same order cannot deadlock with them.
  "dewey_search_language",
  // Before the conversations, as the server locks them that fills in their facts.
  "dewey_backfill",
  "conversations",
  "conversation_titles",
  "messages",
  "message_sections",
  "message_sections_due",
  "startup_contexts",
  "startup_context_history",
  "startup_context_folders",
  "fiedler_results",
  "dewey_audit",
] as const;

/** Tables that are rebuilt automatically, from the others or by the next import. */
export const derivedTables = [
  "dewey_vocabulary",
  "dewey_vocabulary_progress",
  "dewey_meaning_passages",
  "dewey_meaning_queue",
  "dewey_meaning",
  "dewey_meaning_models",
  "imported_files",
] as const;

/** Not backed up: a transaction's number is valid only in its own cluster. Recovered rows get the recovery's. */
const LOCAL_COLUMN = "stored_in";

/** Tables of users' data, which must be empty before a recovery without `force`. */
const precious = ["conversations", "startup_contexts", "startup_context_history", "fiedler_results"] as const;

/** Where the store's own entries of the audit wait during a recovery. */
const KEPT_AUDIT = "dewey_kept_audit";

/** Name of the first piece of every backup. */
export const MANIFEST = "manifest.json";

const manifestSchema = z.object({
  format: z.literal("dewey-backup"),
  version: z.literal(1),
  dewey: z.string(),
  postgres: z.string(),
  made_at: z.iso.datetime(),
  migrations: z.array(z.string()),
  tables: z
    .array(
      z.object({
        name: z.enum(tables),
        columns: z.array(
          z
            .string()
            .regex(/^[a-z_][a-z0-9_]*$/)
            .refine((column) => column !== LOCAL_COLUMN),
        ),
        rows: z.int(),
      }),
    )
    .refine((each) => new Set(each.map(({ name }) => name)).size === each.length),
});

/** The contents of an archive, described in its first piece. */
export type Manifest = z.output<typeof manifestSchema>;

/** What a recovery restored. */
export interface Recovered {
  made_at: string;
  tables: { name: string; rows: number }[];
  /** What could not be restored as it was, in sentences for people. */
  warnings: string[];
}

/**
 * COPY's text format is the same in every version of PostgreSQL that Dewey supports, and independent of the locale. An
 * administrator may have changed the settings below, which affect how values are written.
 */
const COPY_SETTINGS = "set local datestyle = 'ISO, YMD'; set local timezone = 'UTC'; set local bytea_output = 'hex'";

/**
 * The whole store as one archive: a consistent snapshot, taken while others go on storing. Resolves once the snapshot is
 * taken and the first bytes are ready. Throws `unavailable`.
 */
export async function writeBackup(database: Database): Promise<ReadableStream<Uint8Array>> {
  const reader = packed(snapshot(database)).getReader();
  let next: Promise<{ done: boolean; value?: Uint8Array | undefined }> = reader.read();
  await next;
  return new ReadableStream({
    async pull(controller) {
      const { value } = await next;
      if (value === undefined) return controller.close();
      controller.enqueue(value);
      next = reader.read();
      // The next pull reports its failure.
      next.catch(() => {});
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

/** The pieces of the archive, read at the consumer's pace: one piece at a time is in memory. */
export async function* snapshot(database: Database): AsyncGenerator<ArchivePiece> {
  const handover = new TransformStream<ArchivePiece, ArchivePiece>();
  const writer = handover.writable.getWriter();
  const writing = database
    .exclusive((sql) =>
      inSnapshot(sql, async (within) => {
        await within.unsafe(COPY_SETTINGS);
        await refuseNewerSchema(within);
        const manifest = await describe(within);
        await writer.write({ name: MANIFEST, bytes: Buffer.from(JSON.stringify(manifest, null, 2)) });
        for (const table of manifest.tables) await copyOut(within, table, (piece) => writer.write(piece));
      }),
    )
    .then(() => writer.close())
    .catch((error: unknown) => writer.abort(error).catch(() => {}));
  yield* handover.readable;
  await writing;
}

async function describe(sql: TransactionSQL): Promise<Manifest> {
  const { version } = await one<{ version: string }>(sql`select current_setting('server_version') as version`);
  // The database of an earlier Dewey, read when an engine is upgraded, may lack some tables.
  const known = await one<{ names: string[] }>(
    sql`select array(select t from unnest(${sql.array([...tables, "dewey_migrations"], "TEXT")}) t
      where to_regclass(t) is not null) as names`,
  );
  const applied: { name: string }[] = known.names.includes("dewey_migrations")
    ? await sql`select name from dewey_migrations order by name`
    : [];
  const described: Manifest["tables"] = [];
  for (const name of tables.filter((table) => known.names.includes(table))) {
    const columns: { name: string }[] = await sql`select attname as name from pg_attribute
      where attrelid = ${name}::regclass and attnum > 0 and not attisdropped and attgenerated = '' and attname <> ${LOCAL_COLUMN}
      order by attnum`;
    described.push({ name, columns: columns.map((column) => column.name), rows: await countOf(sql, name) });
  }
  return {
    format: "dewey-backup",
    version: 1,
    dewey: packageJson.version,
    postgres: version,
    made_at: new Date().toISOString(),
    migrations: applied.map((each) => each.name),
    tables: described,
  };
}

async function countOf(sql: TransactionSQL, table: string): Promise<number> {
  const { rows } = await one<{ rows: number }>(sql.unsafe(`select count(*)::float8 as rows from ${table}`));
  return rows;
}

async function copyOut(
  sql: TransactionSQL,
  { name, columns }: Manifest["tables"][number],
  write: (piece: ArchivePiece) => Promise<void>,
): Promise<void> {
  let number = 0;
  let parts: Uint8Array[] = [];
  let held = 0;
  const flush = async () => {
    number += 1;
    const bytes = Buffer.concat(parts);
    [parts, held] = [[], 0];
    await write({ name: `${name}/${`${number}`.padStart(8, "0")}.copy`, bytes });
  };
  for await (const chunk of sql.unsafe(`copy ${name} (${columns.join(", ")}) to stdout`).readable()) {
    // Rows have no size limit, so a piece may end within one; concatenated, the pieces are the table.
    for (let from = 0; from < chunk.length;) {
      const part = chunk.subarray(from, from + MAX_PIECE_BYTES - held);
      parts.push(part);
      held += part.length;
      from += part.length;
      if (held === MAX_PIECE_BYTES) await flush();
    }
  }
  if (held > 0) await flush();
}

/**
 * Fills the store from an archive in one transaction, so that a failure changes nothing. The schema is created as it was at
 * the time of the backup and migrated with the data in it, so that older backups work too. Throws `conflict` for a store
 * that is not empty (unless `force`, which replaces its contents) and for a backup by a newer Dewey, and `invalid` for an
 * incomplete or foreign archive.
 */
export async function recoverBackup(
  database: Database,
  archive: AsyncIterable<Uint8Array>,
  force: boolean,
): Promise<Recovered> {
  return recoverPieces(database, unpacked(archive), force);
}

/** Like `recoverBackup`, from the pieces of an archive. */
export async function recoverPieces(
  database: Database,
  pieces: AsyncGenerator<ArchivePiece>,
  force: boolean,
): Promise<Recovered> {
  const manifest = await readManifest(pieces).catch(async (error: unknown) => {
    // A damaged manifest may look like a newer Dewey's: the checksum at the end of the archive tells.
    for await (const _ of pieces) continue;
    throw error;
  });
  return database.exclusive((sql) =>
    sql.begin(async (within) => {
      // Keeps a server that starts now from migrating tables that are being replaced.
      await within`select pg_advisory_xact_lock(${MIGRATION_LOCK})`;
      // The vocabulary refresh and the reindexer lock the same tables in another order.
      await within`select pg_advisory_xact_lock(${VOCABULARY_LOCK})`;
      await within`select pg_advisory_xact_lock(${LANGUAGE_LOCK})`;
      await within`select pg_advisory_xact_lock(${MEANING_LOCK})`;
      await refuseNewerSchema(within);
      if (!force) await refuseFull(within);
      await within.unsafe(COPY_SETTINGS);
      const hasAudit = await setAuditAside(within);
      await dropSchema(within);
      const then = new Set(manifest.migrations);
      await applyWithin(
        within,
        migrations.filter(({ name }) => then.has(name)),
      );
      const recreateIndexes = await dropIndexes(within, manifest);
      await readable(copyIn(within, manifest, pieces));
      await recreateIndexes();
      await applyWithin(
        within,
        migrations.filter(({ name }) => !then.has(name)),
      );
      if (hasAudit) await returnAudit(within);
      const warnings = await adoptLanguage(within);
      // Search weighs words by the statistics that ANALYZE collects.
      for (const { name } of manifest.tables) await within.unsafe(`analyze ${name}`);
      return { made_at: manifest.made_at, tables: manifest.tables.map(({ name, rows }) => ({ name, rows })), warnings };
    }),
  );
}

/** Reads the manifest. Throws `invalid`, and `conflict` for an archive made by a newer Dewey. */
async function readManifest(pieces: AsyncGenerator<ArchivePiece>): Promise<Manifest> {
  const first = await pieces.next();
  if (first.done === true || first.value.name !== MANIFEST) throw foreign();
  const parsed = parseManifest(first.value);
  const unknown = parsed.migrations.find((name) => migrations.every((migration) => migration.name !== name));
  if (unknown !== undefined) {
    throw new DeweyError(
      "conflict",
      `the backup has the migration ${unknown}, which this Dewey does not know; use a newer Dewey`,
    );
  }
  // Every Dewey applies them in their order.
  if (parsed.migrations.some((name, index) => migrations[index]?.name !== name)) throw damaged();
  return parsed;
}

export function parseManifest(piece: ArchivePiece): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(piece.bytes).toString());
  } catch {
    throw damaged();
  }
  const parsed = manifestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  if (!manifestSchema.pick({ format: true }).safeParse(value).success) throw foreign();
  const newer = z
    .object({ ...manifestSchema.pick({ dewey: true, migrations: true }).shape, version: z.int().positive() })
    .safeParse(value);
  if (!newer.success) throw damaged();
  // A manifest of this version, with only known migrations, should have parsed: it is damaged.
  const isOurs = newer.data.migrations.every((name) => migrations.some((migration) => migration.name === name));
  if (isOurs && newer.data.version === manifestSchema.shape.version.value) throw damaged();
  throw new DeweyError(
    "conflict",
    `the backup was made by Dewey ${newer.data.dewey}, in a format that this Dewey does not know; use a newer Dewey`,
  );
}

async function refuseFull(sql: TransactionSQL): Promise<void> {
  for (const table of precious) {
    const { found } = await one<{ found: boolean }>(sql.unsafe(`select exists (select from ${table}) as found`));
    if (!found) continue;
    throw new DeweyError(
      "conflict",
      `the store is not empty: there are ${table.replaceAll("_", " ")}; to replace its contents, use --force`,
      { field: "force" },
    );
  }
}

/** Replacing a store is an act like others, so it does not erase what is known of the acts before. False for a new store. */
async function setAuditAside(sql: TransactionSQL): Promise<boolean> {
  const { exists } = await one<{ exists: boolean }>(sql`select to_regclass('dewey_audit') is not null as exists`);
  if (exists) await sql.unsafe(`create temporary table ${KEPT_AUDIT} on commit drop as select * from dewey_audit`);
  return exists;
}

/** Adds to the backup's entries those of this store. */
async function returnAudit(sql: TransactionSQL): Promise<void> {
  await sql.unsafe(`insert into dewey_audit select * from ${KEPT_AUDIT} on conflict (id) do nothing`);
}

/** Drops everything of Dewey's, and nothing else that the database may contain. */
async function dropSchema(sql: TransactionSQL): Promise<void> {
  await sql.unsafe(`drop table if exists ${[...tables, ...derivedTables].join(", ")}, dewey_migrations`);
  const routines: { signature: string }[] = await sql`select oid::regprocedure::text as signature from pg_proc
    where pronamespace = current_schema()::regnamespace and proname like 'dewey\\_%'`;
  for (const { signature } of routines) await sql.unsafe(`drop routine ${signature}`);
}

/** Drops the indexes and returns a function that recreates them: building an index at once is much faster than row by row. */
async function dropIndexes(sql: TransactionSQL, manifest: Manifest): Promise<() => Promise<void>> {
  const names = sql.array(
    manifest.tables.map((table) => table.name),
    "TEXT",
  );
  const indexes: { name: string; definition: string }[] = await sql`
    select i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as definition
    from pg_index i join pg_class t on t.oid = i.indrelid
    where t.relname = any(${names}) and t.relnamespace = current_schema()::regnamespace
      and not exists (select from pg_constraint where conindid = i.indexrelid)`;
  for (const { name } of indexes) await sql.unsafe(`drop index ${name}`);
  return async () => {
    for (const { definition } of indexes) await sql.unsafe(definition);
  };
}

/** Copies the pieces into their tables. Throws `invalid` when they are not those that the manifest names. */
async function copyIn(sql: TransactionSQL, manifest: Manifest, pieces: AsyncGenerator<ArchivePiece>): Promise<void> {
  const left = [...manifest.tables];
  let piece = await pieces.next();
  while (piece.done !== true) {
    const [folder = ""] = piece.value.name.split("/");
    const index = left.findIndex((table) => table.name === folder);
    const [table] = left.splice(0, index + 1).slice(-1);
    if (!table) throw foreign();
    // Rows inserted by migrations are in the archive too.
    await sql.unsafe(`delete from ${table.name}`);
    // The rows already contain what the triggers would set.
    await sql.unsafe(`alter table ${table.name} disable trigger user`);
    const writer = sql
      .unsafe(`copy ${table.name} (${table.columns.join(", ")}) from stdin`)
      .writable()
      .getWriter();
    while (piece.done !== true && piece.value.name.startsWith(`${table.name}/`)) {
      await writer.write(piece.value.bytes);
      piece = await pieces.next();
    }
    await writer.close();
    await sql.unsafe(`alter table ${table.name} enable trigger user`);
  }
  for (const { name, rows } of manifest.tables) {
    const copied = await countOf(sql, name);
    if (copied !== rows) throw new DeweyError("invalid", `the backup holds ${copied} of ${rows} rows of ${name}`);
  }
}

/**
 * Throws `invalid` for rows that PostgreSQL cannot parse (class 22) or that violate constraints (23), and for tables or columns
 * that there are not (42): the archive is damaged.
 */
async function readable(copied: Promise<void>): Promise<void> {
  try {
    await copied;
  } catch (cause) {
    if (!/^(2[23]|42)/.test(sqlState(cause) ?? "")) throw cause;
    throw new DeweyError("invalid", "the backup is damaged: the database cannot read its rows", { cause });
  }
}
