import { appendFileSync, existsSync } from "node:fs";
import { join } from "node:path";

/** A file name that tells whoever looks into the folder what it is. */
const FILE_NAME = "set-aside.jsonl";

/**
 * The file of records that the store has refused for good, for a person to look at: a JSON line each, with the reason,
 * the tool that was called and its arguments.
 */
export class SetAside {
  readonly file: string;

  constructor(folder: string) {
    this.file = join(folder, FILE_NAME);
  }

  /** Whether any record was ever set aside here, and nobody has removed it since. */
  get isThere(): boolean {
    return existsSync(this.file);
  }

  /** Throws when it cannot be written. */
  add(tool: string, args: Record<string, unknown>, reason: string): void {
    const line = JSON.stringify({ time: new Date().toISOString(), reason, tool, arguments: args });
    appendFileSync(this.file, `${line}\n`, { mode: 0o600 });
  }
}
