import type { TransactionSQL } from "bun";
import { z } from "zod";
import packageJson from "../../../package.json" with { type: "json" };
import { DeweyError } from "../../errors.ts";
import { MAX_PIECE_BYTES, damaged, foreign, packed, unpacked } from "./archive.ts";
import type { ArchivePiece } from "./archive.ts";
import type { Database } from "../database/database.ts";
import { MIGRATION_LOCK, applyWithin, migrations } from "../database/migrations.ts";
import { one } from "../database/one.ts";
import { sqlState } from "../database/pool.ts";
import { LANGUAGE_LOCK, adoptLanguage } from "../search/language.ts";
import { VOCABULARY_LOCK } from "../search/vocabulary.ts";

/** Every table, in an order in which each comes after those that it refers to. A test holds it against the schema. */
export const tables = [
  // The first, because searches read it first: whoever locks in that order meets nobody in a circle.
  "dewey_search_language",
  "conversations",
  "messages",
  "startup_contexts",
  "startup_context_history",
  "startup_context_folders",
  "fiedler_results",
] as const;

/** Tables that are made from the others again by themselves. */
export const derivedTables = ["dewey_vocabulary", "dewey_vocabulary_progress"] as const;

/** A transaction's number means something in its own cluster only: what is recovered is stored by the recovery. */
const LOCAL_COLUMN = "stored_in";

/** What a store must not hold when it is to be filled: whatever people have put in. */
const precious = ["conversations", "startup_contexts", "startup_context_history", "fiedler_results"] as const;

/** The first piece of every backup. */
export const MANIFEST = "manifest.json";

const manifestSchema = z.object({
  format: z.literal("dewey-backup"),
  version: z.literal(1),
  dewey: z.string(),
  postgres: z.string(),
  made_at: z.string(),
  migrations: z.array(z.string()),
  tables: z.array(
    z.object({
      name: z.enum(tables),
      columns: z.array(z.string().regex(/^[a-z_][a-z0-9_]*$/)),
      rows: z.int(),
    }),
  ),
});

/** What an archive holds, as its first piece says. */
export type Manifest = z.output<typeof manifestSchema>;

/** What was brought back. */
export interface Recovered {
  made_at: string;
  tables: { name: string; rows: number }[];
}

/**
 * PostgreSQL's own COPY text is the same in every version that Dewey supports, whatever the locale is; of the settings
 * that change how values are written these are the ones that a server's administrator may have changed.
 */
const COPY_SETTINGS = "set local datestyle = 'ISO, YMD'; set local timezone = 'UTC'; set local bytea_output = 'hex'";

/**
 * A whole store as one archive: a consistent view of one moment, while others go on storing. It has begun when this
 * resolves. Throws `unavailable`.
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
      // Its failure is told at the next pull.
      next.catch(() => {});
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

/** The pieces of the archive. Its consumer's pace is the transaction's: nothing is held but a piece. */
export async function* snapshot(database: Database): AsyncGenerator<ArchivePiece> {
  const handover = new TransformStream<ArchivePiece, ArchivePiece>();
  const writer = handover.writable.getWriter();
  const writing = database
    .exclusive((sql) =>
      sql.begin("isolation level repeatable read read only", async (within) => {
        await within.unsafe(COPY_SETTINGS);
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
  // The database of an earlier Dewey, of which an engine's successor takes over what there is.
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
    // A row's own size has no limit, so a piece may end within one; all pieces in their order are the table.
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
 * Fills the store from an archive, in one transaction: when anything is wrong, nothing has changed. The schema is made
 * as it was when the backup was made, and brought up to date with the data in it, so that an older backup is as good.
 * Throws `conflict` for a store that holds something already (unless `force`, which replaces it) and for a backup of a
 * newer Dewey, `invalid` for what is no whole backup.
 */
export async function recoverBackup(
  database: Database,
  archive: AsyncIterable<Uint8Array>,
  force: boolean,
): Promise<Recovered> {
  return recoverPieces(database, unpacked(archive), force);
}

/** As `recoverBackup`, from the pieces of an archive. */
export async function recoverPieces(
  database: Database,
  pieces: AsyncGenerator<ArchivePiece>,
  force: boolean,
): Promise<Recovered> {
  const manifest = await readManifest(pieces);
  return database.exclusive((sql) =>
    sql.begin(async (within) => {
      // No server that starts meanwhile migrates what is being replaced.
      await within`select pg_advisory_xact_lock(${MIGRATION_LOCK})`;
      // Who reads words from messages, or makes them anew, locks the same tables in another order.
      await within`select pg_advisory_xact_lock(${VOCABULARY_LOCK})`;
      await within`select pg_advisory_xact_lock(${LANGUAGE_LOCK})`;
      if (!force) await refuseFull(within);
      await within.unsafe(COPY_SETTINGS);
      await dropSchema(within);
      const then = new Set(manifest.migrations);
      await applyWithin(
        within,
        migrations.filter(({ name }) => then.has(name)),
      );
      const recreateIndexes = await dropIndexes(within, manifest);
      await copyIn(within, manifest, pieces);
      await recreateIndexes();
      await applyWithin(
        within,
        migrations.filter(({ name }) => !then.has(name)),
      );
      await adoptLanguage(within);
      // Search weighs words by what ANALYZE finds.
      for (const { name } of manifest.tables) await within.unsafe(`analyze ${name}`);
      return { made_at: manifest.made_at, tables: manifest.tables.map(({ name, rows }) => ({ name, rows })) };
    }),
  );
}

/** What an archive says of itself. Throws `invalid` and, for one that a newer Dewey has made, `conflict`. */
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
  return parsed;
}

export function parseManifest(piece: ArchivePiece): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(piece.bytes).toString());
  } catch {
    throw foreign();
  }
  const parsed = manifestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const newer = z
    .object({ ...manifestSchema.pick({ format: true, dewey: true, migrations: true }).shape, version: z.int() })
    .safeParse(value);
  if (!newer.success) throw foreign();
  // One of ours has nothing in it that we do not know.
  const isOurs = newer.data.migrations.every((name) => migrations.some((migration) => migration.name === name));
  if (isOurs && newer.data.version === manifestSchema.shape.version.value) throw damaged();
  throw new DeweyError(
    "conflict",
    `the backup was made by Dewey ${newer.data.dewey}, which this one does not understand`,
  );
}

async function refuseFull(sql: TransactionSQL): Promise<void> {
  for (const table of precious) {
    const { found } = await one<{ found: boolean }>(sql.unsafe(`select exists (select from ${table}) as found`));
    if (!found) continue;
    throw new DeweyError(
      "conflict",
      `the store is not empty: there are ${table.replaceAll("_", " ")}; to replace all that is in it, say --force`,
      { field: "force" },
    );
  }
}

/** Everything of Dewey's, and nothing else that may be in the same database. */
async function dropSchema(sql: TransactionSQL): Promise<void> {
  await sql.unsafe(`drop table if exists ${[...tables, ...derivedTables].join(", ")}, dewey_migrations`);
  const routines: { signature: string }[] = await sql`select oid::regprocedure::text as signature from pg_proc
    where pronamespace = current_schema()::regnamespace and proname like 'dewey\\_%'`;
  for (const { signature } of routines) await sql.unsafe(`drop routine ${signature}`);
}

/** Making an index of all rows at once takes a fraction of adding them one by one. Answers what makes them again. */
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
    // What a migration puts in is in the archive too, as it was.
    await sql.unsafe(`delete from ${table.name}`);
    // What the triggers would do is in the rows already.
    await sql.unsafe(`alter table ${table.name} disable trigger user`);
    const writer = sql
      .unsafe(`copy ${table.name} (${table.columns.join(", ")}) from stdin`)
      .writable()
      .getWriter();
    while (piece.done !== true && piece.value.name.startsWith(`${table.name}/`)) {
      await readable(writer.write(piece.value.bytes));
      piece = await pieces.next();
    }
    await readable(writer.close());
    await sql.unsafe(`alter table ${table.name} enable trigger user`);
  }
  for (const { name, rows } of manifest.tables) {
    const copied = await countOf(sql, name);
    if (copied !== rows) throw new DeweyError("invalid", `the backup holds ${copied} of ${rows} rows of ${name}`);
  }
}

/** Rows that PostgreSQL cannot read (class 22) or that contradict each other (23) are the archive's fault. */
async function readable(written: Promise<void>): Promise<void> {
  try {
    await written;
  } catch (cause) {
    if (!/^2[23]/.test(sqlState(cause) ?? "")) throw cause;
    throw new DeweyError("invalid", "the backup is damaged: the database cannot read its rows", { cause });
  }
}
