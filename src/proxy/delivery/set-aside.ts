import { appendFileSync, existsSync } from "node:fs";
import { join } from "node:path";

/** Readable for a person who looks into the folder. */
const FILE_NAME = "set-aside.jsonl";
/** Records that are remembered: more than a store refuses in the minutes that are delivered again after a failover. */
const MAX_REMEMBERED = 10_000;

/** The file of records that the store refused, for a person to inspect: a JSON line each, with the reason, tool and arguments. */
export class SetAside {
  readonly file: string;
  /** Hashes of what was added: what is delivered again is refused again. */
  readonly #added = new Set<string>();

  constructor(folder: string) {
    this.file = join(folder, FILE_NAME);
  }

  /** Whether the file exists: a record was set aside, and the file was not removed since. */
  get isThere(): boolean {
    return existsSync(this.file);
  }

  /** Appends a record, unless this one was added. Returns whether it was new. Throws when the file cannot be written. */
  add(tool: string, args: Record<string, unknown>, reason: string): boolean {
    const record = JSON.stringify({ tool, arguments: args });
    const hash = Bun.SHA256.hash(record, "base64");
    if (this.#added.has(hash)) return false;
    const about = JSON.stringify({ time: new Date().toISOString(), reason });
    appendFileSync(this.file, `${about.slice(0, -1)},${record.slice(1)}\n`, { mode: 0o600 });
    const [oldest] = this.#added;
    if (this.#added.size >= MAX_REMEMBERED && oldest !== undefined) this.#added.delete(oldest);
    this.#added.add(hash);
    return true;
  }
}
