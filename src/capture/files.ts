import type { Dirent } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";

/** Names of files that are worth a look in a folder. A file that is named is recognised by its content alone. */
const candidates = /(?:\.jsonl|(?<!\.meta)\.json|\.ndjson|\.zip|\.spool|\.db|\.vscdb)(?:\.gz|\.zst)?$/;
/** And in a zip, where exports lie among much else. */
export const zipCandidates =
  /(?:\.jsonl(?:\.gz|\.zst)?|\.zip|\.spool|(?:^|\/)(?:(?:conversations|projects|memories|rollout)[^/]*|projects\/[^/]+)\.json)$/;
/** Folders that hold programs and no talk. */
const passedFolders = new Set(["node_modules", ".git"]);

/** A file that may be imported. */
export interface FoundFile {
  path: string;
  bytes: number;
}

/** Everything at a path, in the order of the names. */
export interface Found {
  files: FoundFile[];
  /** Files and folders that could not be looked at: broken links, and what this user may not read. */
  unread: { path: string; reason: string }[];
  /** How many files of each extension there are besides. */
  others: Map<string, number>;
}

/** Whether a file of this name is worth a look in a folder. */
export function isCandidate(name: string): boolean {
  return candidates.test(name);
}

/** Finds the files that may be imported at a path: itself, or those in the folder, also behind links. */
export async function filesAt(path: string): Promise<Found> {
  const found: Found = { files: [], unread: [], others: new Map() };
  const target = await stat(path);
  if (target.isFile()) return { ...found, files: [{ path, bytes: target.size }] };
  // It would be read several times, and may have no end.
  if (!target.isDirectory()) return { ...found, unread: [{ path, reason: "is no file; save what it holds as one" }] };
  await walk(path, found, new Set());
  found.files.sort(byPath);
  found.unread.sort(byPath);
  return found;
}

function byPath(a: { path: string }, b: { path: string }): number {
  return a.path < b.path ? -1 : 1;
}

/** A folder may be reached by several links, and by its own: each is read once. */
async function walk(folder: string, found: Found, seen: Set<string>): Promise<void> {
  let entries: Dirent[];
  try {
    const real = await realpath(folder);
    if (seen.has(real)) return;
    seen.add(real);
    entries = await readdir(folder, { withFileTypes: true });
  } catch (error) {
    found.unread.push({ path: folder, reason: reasonAt(folder, error) });
    return;
  }
  for (const entry of entries) await take(folder, entry, found, seen);
}

async function take(folder: string, entry: Dirent, found: Found, seen: Set<string>): Promise<void> {
  const path = join(folder, entry.name);
  if (entry.isDirectory()) {
    if (!passedFolders.has(entry.name)) await walk(path, found, seen);
    return;
  }
  if (!entry.isFile() && !entry.isSymbolicLink()) return;
  const isWanted = isCandidate(entry.name);
  if (entry.isFile() && !isWanted) {
    const extension = /\.\w{1,10}$/.exec(entry.name)?.[0] ?? "no extension";
    found.others.set(extension, (found.others.get(extension) ?? 0) + 1);
    return;
  }
  try {
    const target = await stat(path);
    if (target.isDirectory()) await walk(path, found, seen);
    else if (target.isFile() && isWanted) found.files.push({ path, bytes: target.size });
  } catch (error) {
    const reason = entry.isSymbolicLink() ? "is a broken link" : reasonAt(path, error);
    if (isWanted) found.unread.push({ path, reason });
  }
}

/** A name that is no UTF-8 is read with a character in place of its bytes, under which nothing is found. */
function reasonAt(path: string, error: unknown): string {
  return path.includes("\uFFFD") ? "has a name that is not in UTF-8; rename it" : reasonOf(error);
}

/** Why a file could not be read, in a person's words. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT") return "is gone";
  if (code === "EACCES" || code === "EPERM") return "may not be read by this user";
  if (code === "ELOOP") return "is a link that leads to itself";
  return error instanceof Error ? error.message : String(error);
}
