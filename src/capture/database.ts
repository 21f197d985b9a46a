import { Database, constants } from "bun:sqlite";
import { constants as fsConstants } from "node:fs";
import { copyFile, mkdtemp, open, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { isRunning } from "../is-running.ts";

/** The beginning of every SQLite database. */
export const SQLITE_MAGIC = "SQLite format 3\0";
/** How often a copy is begun again because the database's owner wrote into it meanwhile. */
const MAX_COPIES = 5;
/** The header of a write-ahead log, which changes when its owner begins it again. */
const WAL_HEADER_BYTES = 32;
/** Begins the name of a folder for a copy; the id of the process follows, and a random end. */
const COPY_PREFIX = "dewey-import-";

/** A database that is only read, and closed at the end of its scope. */
export interface Snapshot extends AsyncDisposable {
  database: Database;
  /** Whether the file has been written to since it was opened, so that what was read may not fit together. */
  hasChanged(): Promise<boolean>;
}

/**
 * Opens another program's database for reading, and writes nothing beside it. Without a log beside it, it is read in place
 * and without locks. With one, its owner may be at work, and what is in the log belongs to the database: both are copied into
 * a temporary folder of this user's own, and read there.
 */
export async function openSnapshot(path: string): Promise<Snapshot> {
  if ((await sizeOf(`${path}-wal`)) + (await sizeOf(`${path}-journal`)) > 0) return await copied(path);
  const before = await stateOf(path);
  const url = `${pathToFileURL(path).href}?immutable=1`;
  const database = new Database(url, constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI);
  return {
    database,
    hasChanged: async () => (await stateOf(path)) !== before,
    [Symbol.asyncDispose]: async () => database.close(),
  };
}

async function copied(path: string): Promise<Snapshot> {
  await removeLeftCopies();
  const folder = await mkdtemp(join(tmpdir(), `${COPY_PREFIX}${process.pid}-`));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    const copy = join(folder, "copy.db");
    await copyWhole(path, copy);
    const database = new Database(copy, { readwrite: true, create: false });
    return {
      database,
      hasChanged: () => Promise.resolve(false),
      [Symbol.asyncDispose]: async () => {
        database.close();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Removes the copies of processes that were killed: they are large, and hold what people said. */
async function removeLeftCopies(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = name.startsWith(COPY_PREFIX) ? Number.parseInt(name.slice(COPY_PREFIX.length), 10) : Number.NaN;
    if (Number.isNaN(pid) || isRunning(pid)) continue;
    // Another user's cannot be removed, and concern only that user.
    await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => {});
  }
}

/**
 * Copies a database with its log. The owner appends to the log, which harms no copy; when it moves the log's pages into the
 * database meanwhile, the two copies may not belong together, and are made again.
 */
async function copyWhole(path: string, copy: string): Promise<void> {
  for (let made = 0; made < MAX_COPIES; made += 1) {
    const before = await stateOf(path);
    await copyFile(path, copy, fsConstants.COPYFILE_FICLONE);
    for (const log of ["-wal", "-journal"]) {
      await rm(`${copy}${log}`, { force: true });
      await copyFile(`${path}${log}`, `${copy}${log}`).catch(unlessGone);
    }
    if ((await stateOf(path)) === before) return;
  }
  throw new Error("is written to all the time; end its program, and import again");
}

function unlessGone(error: unknown): void {
  if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
}

/** Changes with every write to the database itself, and when its log is begun again. */
async function stateOf(path: string): Promise<string> {
  const { size, mtimeMs, ino } = await stat(path);
  return [size, mtimeMs, ino, await headerOf(`${path}-wal`), await sizeOf(`${path}-journal`)].join(" ");
}

async function headerOf(path: string): Promise<string> {
  const file = await open(path).catch(() => undefined);
  try {
    const { bytesRead, buffer } = (await file?.read(Buffer.alloc(WAL_HEADER_BYTES), 0, WAL_HEADER_BYTES, 0)) ?? {};
    return buffer?.subarray(0, bytesRead).toString("hex") ?? "";
  } finally {
    await file?.close();
  }
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0;
}

/** The tables of a database with their columns. */
export function tablesOf(database: Database): Map<string, Set<string>> {
  const tables = database.query("select name from sqlite_master where type = 'table'").all() as { name: string }[];
  const columns = database.query("select name from pragma_table_info(?)");
  return new Map(
    tables.map(({ name }) => [name, new Set((columns.all(name) as { name: string }[]).map((column) => column.name))]),
  );
}
