import {
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { DeweyError } from "../errors.ts";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";

/** Suffix of the backup beside a changed file. */
export const BACKUP_SUFFIX = ".before-dewey";

/** A client's configuration file. */
export class ConfigFile {
  readonly path: string;
  /** Its content; undefined if the file does not exist. */
  readonly text: string | undefined;

  /** Throws `invalid` if the file exists and cannot be read. */
  constructor(path: string) {
    // Follow links, which users make to files in a repository, so that the link is kept.
    this.path = existsSync(path) ? realpathSync(path) : path;
    try {
      this.text = existsSync(this.path) ? readFileSync(this.path, "utf8") : undefined;
    } catch (cause) {
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

  /** An object as JSON text, indented like the file. */
  jsonText(value: Json): string {
    const indent = /^[{[]\r?\n([ \t]+)/.exec(this.text ?? "")?.[1] ?? 2;
    const end = this.text === undefined || this.text.endsWith("\n") ? "\n" : "";
    return `${JSON.stringify(value, null, indent)}${end}`;
  }

  /** The text of the last backup. */
  backup(): string | undefined {
    const path = `${this.path}${BACKUP_SUFFIX}`;
    return existsSync(path) ? readFileSync(path, "utf8") : undefined;
  }

  /** Replaces the file atomically, keeps its mode, and writes its earlier content to the backup. */
  write(text: string): void {
    const mode = this.text === undefined ? 0o600 : statSync(this.path).mode & 0o777;
    mkdirSync(dirname(this.path), { recursive: true });
    if (this.text !== undefined) writeFileSync(`${this.path}${BACKUP_SUFFIX}`, this.text, { mode: 0o600 });
    writeFileSync(`${this.path}.part`, text, { mode });
    renameSync(`${this.path}.part`, this.path);
  }

  /** Removes the file. */
  remove(): void {
    rmSync(this.path, { force: true });
  }
}
