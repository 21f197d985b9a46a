import { readdirSync, statSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { SQLITE_MAGIC } from "./database.ts";

/** How much of a file is hashed at once. */
const CHUNK_BYTES = 1024 * 1024;
/** A file beside the one that is read must have been left alone for this long: some file systems note whole seconds. */
const REST_MS = 2000;

/** A file before it is read. */
export interface FileLook {
  path: string;
  bytes: number;
  modifiedMs: number;
  /** SHA-256 of its content. */
  hash: string;
  /** When it was looked at, in milliseconds since 1970. */
  atMs: number;
}

/** Looks at a file's whole content. Undefined for a pipe, and for a database, whose content is not in the file alone. */
export async function lookAt(path: string): Promise<FileLook | undefined> {
  const atMs = Date.now();
  const stats = await stat(path);
  // A pipe can be read only once.
  if (!stats.isFile()) return undefined;
  const { size: bytes, mtimeMs: modifiedMs } = stats;
  const hash = await hashOf(path);
  return hash === undefined ? undefined : { path, bytes, modifiedMs, hash, atMs };
}

/** Whether a file is as it was when it was looked at, so far as its size and time tell. */
export async function isAsBefore({ path, bytes, modifiedMs }: FileLook): Promise<boolean> {
  const now = await stat(path);
  return now.size === bytes && now.mtimeMs === modifiedMs;
}

/** Whether files that were consulted while another was read have not changed since that began. */
export function wereAtRest(consulted: readonly string[], { atMs }: FileLook): boolean {
  return consulted.every((path) => {
    try {
      return (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) < atMs - REST_MS;
    } catch {
      return false;
    }
  });
}

/**
 * SHA-256 (hexadecimal) of everything that decides what a file's reader makes of it: this build, the file's content and time,
 * and the content of the files that it consults, or that they are missing. Undefined when one of these cannot be read.
 */
export async function contentDigest(
  { hash, modifiedMs }: FileLook,
  consulted: readonly string[],
  hashes: FileHashes,
): Promise<string | undefined> {
  const parts = [buildName(), hash, `${modifiedMs}`];
  try {
    for (const path of consulted) parts.push(path, await hashes.of(path));
  } catch {
    return undefined;
  }
  return Bun.SHA256.hash(JSON.stringify(parts), "hex");
}

/** Hashes of files that many others consult, such as a session's transcript, each made once until the file changes. */
export class FileHashes {
  readonly #known = new Map<string, { version: string; hash: string }>();

  async of(path: string): Promise<string> {
    const stats = statSync(path, { throwIfNoEntry: false, bigint: true });
    if (stats === undefined) return "missing";
    const version = `${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}`;
    const known = this.#known.get(path);
    if (known?.version === version) return known.hash;
    const hash = (await hashOf(path)) ?? "a database";
    this.#known.set(path, { version, hash });
    return hash;
  }
}

async function hashOf(path: string): Promise<string | undefined> {
  await using file = await open(path);
  const hasher = new Bun.CryptoHasher("sha256");
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (let isFirst = true; ; isFirst = false) {
    const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, null);
    if (isFirst && chunk.subarray(0, bytesRead).toString("latin1").startsWith(SQLITE_MAGIC)) return undefined;
    if (bytesRead === 0) return hasher.digest("hex");
    hasher.update(chunk.subarray(0, bytesRead));
  }
}

let build: string | undefined;

/** Another build may make other messages of the same rows: a binary is known by its file, and sources by the last change. */
function buildName(): string {
  build ??= `${packageJson.version} ${Bun.main.startsWith("/$bunfs/") ? versionOf([process.execPath]) : sourceVersion()}`;
  return build;
}

function sourceVersion(): string {
  return versionOf(readdirSync(import.meta.dir).map((name) => join(import.meta.dir, name)));
}

function versionOf(paths: string[]): string {
  const stats = paths.map((path) => statSync(path));
  return `${stats.reduce((sum, { size }) => sum + size, 0)} ${Math.max(...stats.map(({ mtimeMs }) => mtimeMs))}`;
}
