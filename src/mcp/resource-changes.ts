import type { Log } from "../log.ts";
import type { Store } from "../store/store.ts";
import { listResources } from "./resources.ts";

/**
 * Interval between looks at the list of resources while a client watches it. Other servers of the same database change it
 * too, and a notification is only a hint, so a query every ten seconds is cheaper than messages between the servers.
 */
const POLL_INTERVAL_MS = 10_000;

/** Tells clients that the list of resources has changed. Does nothing while no client watches. */
export class ResourceChanges {
  readonly #store: Store;
  readonly #log: Log;
  readonly #intervalMs: number;
  readonly #watchers = new Set<() => void>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #seen: string | undefined;
  /** Whether a look is under way: of two at once, the older could end last and report its list as a change back. */
  #isLooking = false;

  constructor(store: Store, log: Log, intervalMs = POLL_INTERVAL_MS) {
    this.#store = store;
    this.#log = log;
    this.#intervalMs = intervalMs;
  }

  /** Calls back after each change from now on. Returns the function that ends this. */
  watch(changed: () => void): () => void {
    const watcher = () => changed();
    this.#watchers.add(watcher);
    if (this.#timer === undefined) {
      this.#seen = undefined;
      this.#timer = setInterval(() => void this.#look(), this.#intervalMs);
      void this.#look();
    }
    return () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size === 0) this.stop();
    };
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      const { resources } = await listResources(this.#store);
      // Times change with every message, and an address that is already known leads to them.
      const now = JSON.stringify(resources.map(({ uri, title }) => `${String(uri)} ${String(title)}`).sort());
      const before = this.#seen;
      this.#seen = now;
      if (before !== undefined && before !== now) for (const watcher of this.#watchers) watcher();
    } catch (error) {
      this.#log.debug("the list of resources could not be read; will try again", { error });
    } finally {
      this.#isLooking = false;
    }
  }
}
