import { appendFileSync, existsSync } from "node:fs";
import { join } from "node:path";

/** Readable for a person who looks into the folder. */
const FILE_NAME = "set-aside.jsonl";

/** The file of records that the store refused, for a person to inspect: a JSON line each, with the reason, tool and arguments. */
export class SetAside {
  readonly file: string;

  constructor(folder: string) {
    this.file = join(folder, FILE_NAME);
  }

  /** Whether the file exists: a record was set aside, and the file was not removed since. */
  get isThere(): boolean {
    return existsSync(this.file);
  }

  /** Appends a record. Throws when the file cannot be written. */
  add(tool: string, args: Record<string, unknown>, reason: string): void {
    const line = JSON.stringify({ time: new Date().toISOString(), reason, tool, arguments: args });
    appendFileSync(this.file, `${line}\n`, { mode: 0o600 });
  }
}
