import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  rmdirSync,
  statSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { DeweyError } from "../errors.ts";
import { replaceFile, writtenPlace } from "../safe-file.ts";
import { hashedUuid } from "../uuid.ts";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";

/** Suffix of the file beside a changed one that holds its content from before Dewey. */
export const BACKUP_SUFFIX = ".before-dewey";

/** Largest file that is read; those of clients, with histories of years in them, take some megabytes. */
const MAX_BYTES = 64 * 1024 * 1024;

/** A client's configuration file. */
export class ConfigFile {
  readonly path: string;
  /** Its content; undefined if the file does not exist. */
  readonly text: string | undefined;

  readonly #project: string | undefined;
  /** The file that holds its content from before Dewey, if that was kept. */
  readonly backupPath: string;

  /**
   * `project` is the folder of a project that the file belongs to; there no link is followed. The backup lies in
   * `backupDir`, or else beside the file. Throws `invalid` for a link that is not followed, and when the file exists and
   * cannot be read.
   */
  constructor(path: string, project?: string, backupDir?: string) {
    this.#project = project;
    // Follow links, which users make to files in a repository, so that the link is kept.
    this.path = writtenPlace(path, project);
    this.backupPath =
      backupDir === undefined
        ? writtenPlace(`${this.path}${BACKUP_SUFFIX}`, project ?? dirname(this.path))
        : join(backupDir, `${hashedUuid(this.path)}-${basename(path)}`);
    try {
      this.text = textOf(this.path);
    } catch (cause) {
      if (cause instanceof DeweyError) throw cause;
      throw new DeweyError("invalid", `${path} cannot be read`, { cause });
    }
  }

  /** Its JSON object. Throws `invalid` for anything else, including comments, which would be lost. */
  json(): Json {
    if (this.text === undefined || this.text.trim() === "") return {};
    try {
      const value: unknown = JSON.parse(this.text);
      if (isObject(value)) return value;
    } catch {
      // Reported below.
    }
    throw new DeweyError("invalid", `${this.path} is not a JSON object (comments are not JSON); nothing was changed`);
  }

  /** An object as JSON text, indented like the file, with its line ends. */
  jsonText(value: Json): string {
    const indent = /^[{[]\r?\n([ \t]+)/.exec(this.text ?? "")?.[1] ?? 2;
    const end = this.text === undefined || this.text.endsWith("\n") ? "\n" : "";
    const text = `${JSON.stringify(value, null, indent)}${end}`;
    // JSON escapes the line feeds within its texts.
    return this.text?.includes("\r\n") ? text.replaceAll("\n", "\r\n") : text;
  }

  /** The content from before Dewey, if it was kept. */
  backup(): string | undefined {
    return textOf(this.backupPath);
  }

  /** Keeps the content beside the file, as the one from before Dewey. */
  keepBackup(): void {
    if (this.text === undefined) return;
    mkdirSync(dirname(this.backupPath), { recursive: true, mode: 0o700 });
    replaceFile(this.backupPath, this.text, 0o600);
  }

  /** Replaces the file atomically and keeps its mode. */
  write(text: string): void {
    const mode = this.text === undefined ? 0o600 : statSync(this.path).mode & 0o777;
    mkdirSync(dirname(this.path), { recursive: true });
    replaceFile(this.path, text, mode);
  }

  /** Removes the file, and in a project the folder that was made for it, if nothing else is in it. */
  remove(): void {
    rmSync(this.path, { force: true });
    const folder = dirname(this.path);
    if (this.#project === undefined || folder === this.#project) return;
    try {
      rmdirSync(folder);
    } catch {
      // It holds something else.
    }
  }
}

/** The text of a file; undefined when there is none. Throws `invalid` for a pipe, which might be read for ever, and the like. */
function textOf(path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = fstatSync(descriptor);
    if (!found.isFile()) throw new DeweyError("invalid", `${path} is no file; nothing was changed`);
    if (found.size > MAX_BYTES)
      throw new DeweyError("invalid", `${path} takes more than ${MAX_BYTES} bytes; nothing was changed`);
    return readFileSync(descriptor, "utf8");
  } finally {
    closeSync(descriptor);
  }
}
