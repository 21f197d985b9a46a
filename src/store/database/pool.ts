import type { SQL } from "bun";
import { within } from "../../deadline.ts";
import { DeweyError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Dialler } from "./dialler.ts";
import { isConnectionLost, isFull, isReadOnly } from "./lost.ts";

/** Idle time after which a connection beyond the kept ones closes. */
const IDLE_LIMIT_SECONDS = 30;
/**
 * Age after which a connection is replaced, so that none stays for ever with a server that a balancer or a name no longer
 * leads to, or with a password that was changed. Opening one takes some milliseconds.
 */
const MOST_AGE_MS = 600_000;
/** Share of that age by which connections differ, so that they are not all replaced at once. */
const AGE_SPREAD = 0.2;
/** How long a pool opens no further connection after the server had none left, and the pause where it has none at all. */
const FULL_PAUSE_MS = 500;
const FULL_RETRY_MS = 50;

export type Statement<Result> = (sql: SQL) => Promise<Result>;

export interface PoolOptions {
  dialler: Dialler;
  /** Connections that stay open once opened. */
  kept: number;
  /** Maximum number of connections. */
  most: number;
  /** PostgreSQL settings of each connection. */
  settings: Record<string, number | string>;
  /** Whether connections keep prepared statements, which run faster when repeated. */
  keepsStatements: boolean;
  /** Idle time after which a connection beyond `kept` closes; shorter in tests. */
  idleSeconds?: number;
  /** Age after which a connection is replaced; shorter in tests. */
  mostAgeMs?: number;
  /** Called when the server has no connection left, so that others may give theirs back. */
  onFull?: () => void;
  log: Log;
}

/** How much of a pool is in use. */
export interface PoolUse {
  busy: number;
  idle: number;
  most: number;
  /** Callers waiting for a connection. */
  waiting: number;
}

interface Slot {
  /** Absent until it has been dialled. */
  sql?: SQL;
  kept: boolean;
  /** When it should be replaced. */
  untilMs: number;
}

/** Passes a step's value on, or throws `Late` when the caller's deadline comes first. */
type InTime = <Value>(step: Promise<Value>) => Promise<Value>;

/** The work missed its deadline. */
export class Late extends Error {
  constructor(limitMs: number) {
    super(`the database did not answer within ${Math.round(limitMs) / 1000} s; it may be down or busy; try again`);
  }
}

/**
 * Connections that each run one caller's work at a time. Bun's own pool sends statements of several callers over one
 * connection, where a fast one waits behind a slow one, and must be replaced as a whole when one connection hangs. Here
 * only the hanging connection is given up.
 */
export class Pool {
  readonly #options: PoolOptions;
  readonly #slots = new Set<Slot>();
  #idle: Slot[] = [];
  #waiting: ((slot: Slot) => void)[] = [];
  #fullUntilMs = -Infinity;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  use(): PoolUse {
    const { size } = this.#slots;
    const idle = this.#idle.length;
    return { busy: size - idle, idle, most: this.#options.most, waiting: this.#waiting.length };
  }

  /** Runs the work on a connection of its own. Throws `Late` when waiting and working exceed the limit together. */
  async run<Result>(work: Statement<Result>, limitMs: number): Promise<Result> {
    const untilMs = performance.now() + limitMs;
    const inTime = <Value>(step: Promise<Value>) =>
      within(untilMs - performance.now(), step, () => {
        throw new Late(limitMs);
      });
    const slot = await this.#connected(inTime);
    return this.#use(slot, work, inTime);
  }

  /** Opens the kept connections. */
  async warm(limitMs: number): Promise<void> {
    const all = Promise.withResolvers<void>();
    let held = 0;
    const hold: Statement<void> = async (sql) => {
      await sql`select`;
      held += 1;
      // Each waits for the others, so that no two share a connection.
      if (held === this.#options.kept) all.resolve();
      await all.promise;
    };
    await Promise.all(Array.from({ length: this.#options.kept }, () => this.run(hold, limitMs)));
  }

  /** Replaces every connection: the idle ones at once, the others after their work. */
  renew(): void {
    for (const slot of this.#slots) slot.untilMs = -Infinity;
    this.shed();
  }

  /** Closes the idle connections. */
  shed(): void {
    for (const slot of this.#idle.splice(0)) this.#retire(slot);
  }

  /** Closes all connections. Work in flight may run until the limit; a frozen database cannot hold up the shutdown. */
  async close(limitMs: number): Promise<void> {
    this.#closed = true;
    const timeout = limitMs / 1000;
    await Promise.all([...this.#slots].map(async (slot) => slot.sql?.close({ timeout }).catch(() => {})));
  }

  /** A connection that is open. While the server has none left, the caller waits for one of this pool. */
  async #connected(inTime: InTime): Promise<Slot> {
    let full: unknown;
    try {
      for (;;) {
        const slot = await this.#acquire(inTime);
        if (slot.sql) return slot;
        try {
          slot.sql = await inTime(this.#dial(slot));
          return slot;
        } catch (error) {
          this.#giveUp(slot, error);
          if (!isFull(error)) throw error;
          full = error;
        }
        if (this.#slots.size === 0) await inTime(Bun.sleep(FULL_RETRY_MS));
      }
    } catch (error) {
      throw error instanceof Late && full !== undefined ? full : error;
    }
  }

  async #dial(slot: Slot): Promise<SQL> {
    const { dialler, settings, keepsStatements, idleSeconds = IDLE_LIMIT_SECONDS } = this.#options;
    const onClosed = () => this.#lost(slot);
    const sql = await dialler.dial({ settings, keepsStatements, idleSeconds: slot.kept ? 0 : idleSeconds, onClosed });
    if (this.#slots.has(slot)) return sql;
    // Its caller's deadline has passed meanwhile.
    void sql.close({ timeout: 0 }).catch(() => {});
    throw new DeweyError("unavailable", "this connection was given up while it was opened");
  }

  async #acquire(inTime: InTime): Promise<Slot> {
    if (this.#closed) throw new DeweyError("unavailable", "Dewey is stopping; try again once it is back");
    const free = this.#free() ?? (this.#mayOpen() ? this.#open() : undefined);
    if (free) return free;
    const turn = Promise.withResolvers<Slot>();
    this.#waiting.push(turn.resolve);
    try {
      return await inTime(turn.promise);
    } catch (error) {
      this.#waiting = this.#waiting.filter((resolve) => resolve !== turn.resolve);
      throw error;
    }
  }

  /** An idle connection that is not too old. */
  #free(): Slot | undefined {
    for (let slot = this.#idle.pop(); slot; slot = this.#idle.pop()) {
      if (slot.untilMs > performance.now()) return slot;
      this.#retire(slot);
    }
    return undefined;
  }

  #mayOpen(): boolean {
    if (this.#slots.size >= this.#options.most) return false;
    return this.#slots.size === 0 || performance.now() > this.#fullUntilMs;
  }

  async #use<Result>(slot: Slot, work: Statement<Result>, inTime: InTime): Promise<Result> {
    try {
      const result = await inTime(work(slot.sql as SQL));
      this.#release(slot);
      return result;
    } catch (error) {
      if (error instanceof Late || isConnectionLost(error) || isReadOnly(error)) this.#giveUp(slot, error);
      else this.#release(slot);
      throw error;
    }
  }

  #release(slot: Slot): void {
    if (slot.untilMs <= performance.now()) {
      this.#retire(slot);
      this.#serveWaiting();
      return;
    }
    const next = this.#waiting.shift();
    if (next) next(slot);
    else this.#idle.push(slot);
  }

  /** Closes a connection without work. */
  #retire(slot: Slot): void {
    this.#slots.delete(slot);
    void slot.sql?.close({ timeout: 0 }).catch(() => {});
  }

  /** A connection has closed by itself: an idle one is forgotten, another after its work. */
  #lost(slot: Slot): void {
    slot.untilMs = -Infinity;
    if (!this.#idle.includes(slot)) return;
    this.#idle = this.#idle.filter((each) => each !== slot);
    this.#slots.delete(slot);
  }

  /**
   * A statement to a frozen server hangs forever and cannot be cancelled, so its connection is given up. When one connection
   * is lost, the idle ones most likely are too, and a retry should not run into each of them.
   */
  #giveUp(slot: Slot, reason: unknown): void {
    if (reason instanceof Late)
      this.#options.log.warn("a connection to the database hangs and is given up", { reason });
    this.#retire(slot);
    if (isFull(reason)) {
      this.#fullUntilMs = performance.now() + FULL_PAUSE_MS;
      this.#options.onFull?.();
    } else this.shed();
    this.#serveWaiting();
  }

  /** Opens connections for the callers that wait. */
  #serveWaiting(): void {
    while (!this.#closed && this.#mayOpen()) {
      const next = this.#waiting.shift();
      if (!next) return;
      next(this.#open());
    }
  }

  #open(): Slot {
    const kept = [...this.#slots].filter((slot) => slot.kept).length < this.#options.kept;
    const { mostAgeMs = MOST_AGE_MS } = this.#options;
    const slot = { kept, untilMs: performance.now() + mostAgeMs * (1 - AGE_SPREAD * Math.random()) };
    this.#slots.add(slot);
    return slot;
  }
}
