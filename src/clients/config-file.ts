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

/** Beside a file that was changed, what it was before. */
export const BACKUP_SUFFIX = ".before-dewey";

/** A client's configuration file, of which only what we know is changed. */
export class ConfigFile {
  readonly path: string;
  /** What is in it; undefined when there is none. */
  readonly text: string | undefined;

  /** Throws `invalid` when it is there and cannot be read. */
  constructor(path: string) {
    // People keep such files in a repository and link to them: the link stays.
    this.path = existsSync(path) ? realpathSync(path) : path;
    try {
      this.text = existsSync(this.path) ? readFileSync(this.path, "utf8") : undefined;
    } catch (cause) {
      throw new DeweyError("invalid", `${path} cannot be read`, { cause });
    }
  }

  /** The object in it. Throws `invalid` for anything else, comments included: they would be lost. */
  json(): Json {
    if (this.text === undefined || this.text.trim() === "") return {};
    try {
      const value: unknown = JSON.parse(this.text);
      if (isObject(value)) return value;
    } catch {
      // Told below.
    }
    throw new DeweyError("invalid", `${this.path} is no JSON object (comments are not JSON); nothing was changed`);
  }

  /** An object as text, indented as the file is. */
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

  /** Replaces the file, with what it was beside it. It is whole at every moment, and as private as it was. */
  write(text: string): void {
    const mode = this.text === undefined ? 0o600 : statSync(this.path).mode & 0o777;
    mkdirSync(dirname(this.path), { recursive: true });
    if (this.text !== undefined) writeFileSync(`${this.path}${BACKUP_SUFFIX}`, this.text, { mode: 0o600 });
    writeFileSync(`${this.path}.part`, text, { mode });
    renameSync(`${this.path}.part`, this.path);
  }

  /** Takes the file away, when there was none before us. */
  remove(): void {
    rmSync(this.path, { force: true });
  }
}
