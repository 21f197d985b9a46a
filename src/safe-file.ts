import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import { DeweyError } from "./errors.ts";
import { systemReason } from "./system-error.ts";

/** Never follows a link and never opens what is already there, which another party may have laid. */
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/** Long names of the target are cut in the name of the new file, since a name has 255 bytes at most. */
const MAX_NAME_CHARACTERS = 40;

/** A file that takes the place of another when it is complete. Until then it lies beside it, under a name that nobody can guess. */
export class Replacement {
  readonly #path: string;
  readonly #place: string;
  #descriptor: number | undefined;

  /** Gives the file this mode, and the owner of the file that it replaces. Throws `invalid` when the folder is not writable. */
  constructor(path: string, mode: number) {
    this.#path = path;
    this.#place = join(dirname(path), `.${basename(path).slice(0, MAX_NAME_CHARACTERS)}.${crypto.randomUUID()}.part`);
    try {
      if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) throw aFolder();
      this.#descriptor = openSync(this.#place, NEW_FILE, mode);
    } catch (cause) {
      throw unwritable(path, cause);
    }
    try {
      fchmodSync(this.#descriptor, mode);
      keepOwner(path, this.#descriptor);
    } catch (cause) {
      this.discard();
      throw unwritable(path, cause);
    }
  }

  write(bytes: Uint8Array): void {
    const descriptor = this.#open();
    try {
      for (let from = 0; from < bytes.length;) from += writeSync(descriptor, bytes, from);
    } catch (cause) {
      throw unwritable(this.#path, cause);
    }
  }

  /** Flushes the file to disk and gives it its name. A link of that name is replaced, not followed. */
  commit(): void {
    const descriptor = this.#open();
    try {
      fsyncSync(descriptor);
      renameSync(this.#place, this.#path);
    } catch (cause) {
      throw unwritable(this.#path, cause);
    }
    closeSync(descriptor);
    this.#descriptor = undefined;
  }

  /** Removes the file unless it was committed. */
  discard(): void {
    if (this.#descriptor === undefined) return;
    closeSync(this.#descriptor);
    this.#descriptor = undefined;
    rmSync(this.#place, { force: true });
  }

  #open(): number {
    if (this.#descriptor === undefined) throw new Error("the replacement was committed or discarded");
    return this.#descriptor;
  }
}

/** Replaces a file, which is complete at every moment, and gives it this mode. Throws `invalid` when it cannot be written. */
export function replaceFile(path: string, text: string, mode: number): void {
  const replacement = new Replacement(path, mode);
  try {
    replacement.write(Buffer.from(text));
    replacement.commit();
  } finally {
    replacement.discard();
  }
}

/**
 * The file to replace when `path` is written. A link is followed only where nobody else can have laid it: it belongs to this
 * user or to root, as links into a repository of dotfiles do, and it is not in `project`, whose links come with the repository. Throws
 * `invalid` for any other link, and for one that leads nowhere.
 */
export function writtenPlace(path: string, project: string | undefined): string {
  if (project !== undefined) {
    refuseLinks(path, project);
    return path;
  }
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isSymbolicLink() !== true) return path;
  // Root needs no link to write anywhere.
  if (process.getuid !== undefined && found.uid !== process.getuid() && found.uid !== 0)
    throw new DeweyError("invalid", `${path} is a link that belongs to another user; replace it with a file`);
  try {
    return realpathSync(path);
  } catch (cause) {
    throw new DeweyError("invalid", `${path} is a link that leads nowhere; remove it or mend it`, { cause });
  }
}

/** The nearest folder above `path` that is a Git work tree. Its links come with the repository. */
export function workTreeOf(path: string): string | undefined {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (lstatSync(join(folder, ".git"), { throwIfNoEntry: false })) return folder;
    if (folder === dirname(folder)) return undefined;
  }
}

/** Throws `invalid` when `path`, or a folder on the way to it from `project`, is a link. */
function refuseLinks(path: string, project: string): void {
  let place = project;
  for (const name of relative(project, path).split(sep)) {
    place = join(place, name);
    if (lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink() !== true) continue;
    const remedy = "anybody may have laid it; nothing was changed; replace it with a file or a folder";
    throw new DeweyError("invalid", `${place} is a link, which is not followed here, since ${remedy}`);
  }
}

/** A file that root changes for somebody stays theirs. */
function keepOwner(path: string, descriptor: number): void {
  const before = lstatSync(path, { throwIfNoEntry: false });
  const own = fstatSync(descriptor);
  if (before?.isFile() !== true || (own.uid === before.uid && own.gid === before.gid)) return;
  fchownSync(descriptor, before.uid, before.gid);
}

/** As the system would say it, but before anything is written. */
function aFolder(): Error {
  return Object.assign(new Error(), { code: "EISDIR" });
}

function unwritable(path: string, cause: unknown): DeweyError {
  if (cause instanceof DeweyError) return cause;
  return new DeweyError("invalid", `${path} cannot be written: ${systemReason(cause)}`, { cause });
}
