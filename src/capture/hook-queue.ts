import { mkdirSync, readFileSync, readdirSync, renameSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { replaceFile } from "../safe-file.ts";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { timeOf } from "./captured.ts";

const SUFFIX = ".event";
/** The client of events that name none: earlier versions knew no other. */
const CLAUDE_CODE = "claude-code";

/** An event of a client's hook, as it waits. */
export interface HookEvent {
  /** What the event is called in the queue. */
  id: string;
  /** ISO 8601: when the hook ran. */
  time: string;
  /** The client's name, such as claude-code. */
  client: string;
  /** What the client said. */
  event: Json;
}

/**
 * The durable queue of hook events: a file an event, named by its time. A hook's process lives for milliseconds, so that
 * it only puts its event here; who delivers comes later, and need not come soon.
 */
export class HookQueue {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** When it returns, the event outlives this process. A file has its name only when it is whole. */
  put(event: Json, client = CLAUDE_CODE): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const path = join(this.#folder, `${Bun.randomUUIDv7()}${SUFFIX}`);
    replaceFile(path, JSON.stringify({ time: new Date().toISOString(), client, event }), 0o600);
  }

  /** The names of what waits, in the order in which it came. */
  waiting(): string[] {
    try {
      return readdirSync(this.#folder)
        .filter((name) => name.endsWith(SUFFIX))
        .toSorted();
    } catch {
      return [];
    }
  }

  /** Undefined for a file that is no event: somebody else's, or torn when the machine went down. */
  read(name: string): HookEvent | undefined {
    try {
      const found: unknown = JSON.parse(readFileSync(join(this.#folder, name), "utf8"));
      if (!isObject(found)) return undefined;
      const { event, client = CLAUDE_CODE } = found;
      const time = timeOf(found["time"]);
      if (time === undefined || !isObject(event)) return undefined;
      return { id: name.slice(0, -SUFFIX.length), time, client: String(client), event };
    } catch {
      return undefined;
    }
  }

  remove(name: string): void {
    unlinkSync(join(this.#folder, name));
  }

  /** Puts aside what cannot be delivered, for a person to look at. */
  setAside(name: string): void {
    renameSync(join(this.#folder, name), join(this.#folder, `${name}.refused`));
  }
}
