import { mkdirSync, readFileSync, readdirSync, rmSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Delivery } from "./record.ts";

/** A record after whose delivery the server went away this often, each time alone, is taken for the cause. */
const MAX_DEATHS = 3;
/** Keys become file names. */
const plainKey = /^[\w-]{1,100}$/;

interface Count {
  deaths: number;
  /** Records that the store had taken before the first of them. */
  takenBefore: number;
}

/**
 * Counts for records how often the server went away while they, and nothing else, were being delivered. The counts are files
 * in the spool folder, so that they outlast the proxy: the machine may go down together with the server.
 */
export class Suspects {
  readonly #folder: string;
  readonly #counts = new Map<string, Count>();
  /** Records that the store has taken, and how many it had when a record was found guilty last. */
  #taken = 0;
  #takenAtVerdict = -1;

  /** Counts older than `maxAgeMs` are removed: the spool keeps no record for so long. */
  constructor(spoolFolder: string, maxAgeMs: number) {
    this.#folder = join(spoolFolder, "suspects");
    for (const key of namesIn(this.#folder)) {
      const kept = keptCount(join(this.#folder, key));
      if (kept === undefined || !plainKey.test(key)) continue;
      if (kept.ageMs > maxAgeMs) this.#remove(key);
      else this.#counts.set(key, { deaths: kept.deaths, takenBefore: 0 });
    }
  }

  /** Whether the server went away when this record was delivered alone. */
  has(delivery: Delivery): boolean {
    return this.#counts.size > 0 && this.#counts.has(keyOf(delivery));
  }

  /**
   * Notes that the server went away while this record was being delivered alone. True when the record is guilty: that was so
   * three times in a row, and the store has taken others meanwhile, or there are none. Without others only one is found
   * guilty, until the store has taken something: a server that takes nothing is itself at fault.
   */
  isGuilty(delivery: Delivery, hasOthers: boolean): boolean {
    const key = keyOf(delivery);
    const count = this.#counts.get(key) ?? { deaths: 0, takenBefore: this.#taken };
    count.deaths += 1;
    this.#counts.set(key, count);
    this.#write(key, count.deaths);
    const isProven = this.#taken > (hasOthers ? count.takenBefore : this.#takenAtVerdict);
    if (count.deaths < MAX_DEATHS || !isProven) return false;
    this.#takenAtVerdict = this.#taken;
    return true;
  }

  /** Notes that the store has taken a record. */
  taken(): void {
    this.#taken += 1;
  }

  /** Forgets a record that was delivered, set aside or dropped. */
  forget(delivery: Delivery): void {
    if (!this.has(delivery)) return;
    const key = keyOf(delivery);
    this.#counts.delete(key);
    this.#remove(key);
  }

  /** Forgets all: the server also went away during another delivery. */
  clear(): void {
    for (const key of this.#counts.keys()) this.#remove(key);
    this.#counts.clear();
  }

  #write(key: string, deaths: number): void {
    if (!plainKey.test(key)) return;
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      writeFileSync(join(this.#folder, key), `${deaths}`, { mode: 0o600 });
    } catch {
      // For example on a full disk. The count then ends with this process.
    }
  }

  #remove(key: string): void {
    if (!plainKey.test(key)) return;
    rmSync(join(this.#folder, key), { force: true });
    try {
      rmdirSync(this.#folder);
    } catch {
      // It holds other counts, or is gone.
    }
  }
}

/** The count in a file; undefined when it holds none, or another proxy has just removed it. */
function keptCount(path: string): { deaths: number; ageMs: number } | undefined {
  try {
    const deaths = Number(readFileSync(path, "latin1"));
    return Number.isSafeInteger(deaths) ? { deaths, ageMs: Date.now() - statSync(path).mtimeMs } : undefined;
  } catch {
    return undefined;
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // None yet.
    return [];
  }
}

/** The same for a record that is made again from the spool. */
function keyOf(delivery: Delivery): string {
  if (delivery.kind === "message") return delivery.message.message_id;
  return (delivery.kind === "result" ? delivery.result.result_id : undefined) ?? delivery.conversation;
}
