import type { SQL, TransactionSQL } from "bun";
import { within } from "../deadline.ts";
import { asDeweyError } from "../errors.ts";
import type { ErrorCode } from "../errors.ts";
import type { Log } from "../log.ts";
import { boundAt } from "../moment.ts";
import type { Bound } from "../moment.ts";
import { unknownAuthor } from "./context-history.ts";
import type { Author } from "./context-history.ts";
import type { Database } from "./database/database.ts";
import type { Redactor } from "./redact/redact.ts";

/** What is worth a line and a row: acts that remove something or change what others read, and who was let in or not. */
export const auditActions = [
  "conversation.delete",
  "conversation.purge",
  "conversation.restore",
  "conversation.rename",
  "context.set",
  "context.tie",
  "context.delete",
  "page.sign_in",
  "request.refused",
  "store.backup",
  "store.recover",
] as const;
export type AuditAction = (typeof auditActions)[number];

/** Who acts, and from where. */
export interface Actor extends Author {
  /** The network address at the other end of the connection, which may be a balancer's; null where it is not known. */
  address?: string | null;
}

export const unknownActor: Actor = unknownAuthor;

/** An act before its end. `target` names what it is about, by its id or name. */
export interface Act {
  action: AuditAction;
  actor: Actor;
  target?: string | undefined;
}

export interface AuditEntry extends Required<Actor> {
  id: string;
  at: string;
  action: AuditAction;
  outcome: "ok" | ErrorCode | "forbidden";
  target: string | null;
  /** Requests alike that a refusal stands for. */
  count: number;
}

type AuditRow = Omit<AuditEntry, "at"> & { at: Date };

/** Inserts the row of an act into the act's own transaction. */
export type Note = (sql: SQL) => Promise<void>;

/** How much is kept. */
export interface KeptAudit {
  days: number;
  acts: number;
  /** Refusals have a limit of their own, so that nobody who is refused can push out what others did. */
  refusals: number;
}

/**
 * Questions about the last year come in the month after it. A script that renames all day must not fill the disk: an entry
 * takes about 250 bytes with the indexes.
 */
const KEPT: KeptAudit = { days: 400, acts: 1_000_000, refusals: 100_000 };
/** Rows deleted by one statement, which stays far from the deadline. */
const PURGED_AT_ONCE = 10_000;
/** Entries that wait while the database is away; the log has every one. */
const MOST_WAITING = 1000;
/** Entries that belong to no transaction are written together, soon after. */
const WRITE_DELAY_MS = 500;
/** A server that stops waits so long for a database that may be away; the log has the entries. */
const CLOSE_LIMIT_MS = 2000;
/** Pause after a failed write. */
const RETRY_DELAY_MS = 10_000;
/** Longest text of an entry; names and ids are shorter. */
const MAX_CHARACTERS = 500;

/**
 * Keeps who did what: one line in the log and one row in the database for each act. The row of an act that changes the
 * database is written in the act's transaction; those of failures, sign-ins, refusals, backups and recoveries have none, or
 * one that is rolled back, and are written soon after. Never makes an act fail, and none waits for a row outside its
 * transaction.
 */
export class Audit {
  readonly #database: Database;
  readonly #redactor: Redactor;
  readonly #log: Log;
  readonly #kept: KeptAudit;
  #waiting: AuditEntry[] = [];
  #dropped = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #writing: Promise<void> | undefined;
  #isClosed = false;

  constructor(database: Database, redactor: Redactor, log: Log, kept = KEPT) {
    this.#database = database;
    this.#redactor = redactor;
    this.#log = log;
    this.#kept = kept;
  }

  /** Does the work, which calls `note` in its transaction, and logs the act with its outcome. */
  async during<Result>(act: Act, work: (note: Note) => Promise<Result>): Promise<Result> {
    const entry = this.#entry(act, "ok");
    try {
      const result = await work((sql) => this.#insertWithin(sql as TransactionSQL, entry));
      this.#say(entry);
      return result;
    } catch (error) {
      this.note(act, asDeweyError(error).code);
      throw error;
    }
  }

  /** Logs an act and writes its row soon after. */
  note(act: Act, outcome: AuditEntry["outcome"], count = 1): void {
    const entry = { ...this.#entry(act, outcome), count };
    this.#say(entry);
    if (this.#isClosed) return;
    this.#waiting.push(entry);
    if (this.#waiting.length > MOST_WAITING) {
      this.#waiting.shift();
      this.#dropped += 1;
    }
    this.#writeSoon(WRITE_DELAY_MS);
  }

  /** The actor as the log and the table may show it: without secrets, and short. */
  shown({ session, client_name, client_version, address = null }: Actor): Required<Actor> {
    const text = (given: string | null) => given && this.#text(given);
    return { session: text(session), client_name: text(client_name), client_version: text(client_version), address };
  }

  /** The latest first. `cursor` is the page before's `next_cursor`. */
  async list(input: {
    limit: number;
    action?: AuditAction | undefined;
    start_date?: Bound | undefined;
    cursor?: string | undefined;
  }): Promise<{ entries: AuditEntry[]; limit: number; next_cursor?: string }> {
    const { limit, action, cursor } = input;
    const start = boundAt(input.start_date, new Date());
    const rows: AuditRow[] = await this.#database.retried(
      (sql) => sql`select id, at, action, outcome, target, client_name, client_version, session, address, count
        from dewey_audit
        where ${action === undefined ? sql`true` : sql`action = ${action}`}
          and ${cursor === undefined ? sql`true` : sql`id < ${cursor}::uuid`}
          and ${start === undefined ? sql`true` : sql`at >= ${start}`}
        order by id desc limit ${limit + 1}`,
    );
    const entries = rows.slice(0, limit).map((row) => ({ ...row, at: row.at.toISOString() }));
    const last = entries.at(-1);
    return { entries, limit, ...(rows.length > limit && last ? { next_cursor: last.id } : {}) };
  }

  /** Deletes what is older or more than is kept, a few rows at a time. Returns their number. */
  async purge(): Promise<number> {
    const { days, acts, refusals } = this.#kept;
    const steps = [
      (sql: SQL) => sql`delete from dewey_audit where id in (
        select id from dewey_audit where at < now() - make_interval(days => ${days}) limit ${PURGED_AT_ONCE})`,
      (sql: SQL) => sql`delete from dewey_audit where id in (
        select id from dewey_audit where action = 'request.refused' order by id desc
        limit ${PURGED_AT_ONCE} offset ${refusals})`,
      (sql: SQL) => sql`delete from dewey_audit where id in (
        select id from dewey_audit where action <> 'request.refused' order by id desc
        limit ${PURGED_AT_ONCE} offset ${acts})`,
    ];
    let purged = 0;
    for (const step of steps) {
      for (;;) {
        const { count } = (await this.#database.retried(step)) as { count: number };
        purged += count;
        if (count < PURGED_AT_ONCE) break;
      }
    }
    return purged;
  }

  /** Writes what waits, if the database takes it now. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    const rest = async () => {
      await this.#writing;
      if (this.#waiting.length > 0) await this.#write();
    };
    await within(CLOSE_LIMIT_MS, rest(), () => {});
  }

  #text(given: string): string {
    return this.#redactor.text(given, {}).slice(0, MAX_CHARACTERS).toWellFormed().replaceAll("\0", "\uFFFD");
  }

  #entry({ action, actor, target }: Act, outcome: AuditEntry["outcome"]): AuditEntry {
    const now = new Date();
    return {
      id: Bun.randomUUIDv7("hex", now),
      at: now.toISOString(),
      action,
      outcome,
      target: target === undefined ? null : this.#text(target),
      ...this.shown(actor),
      count: 1,
    };
  }

  #say(entry: AuditEntry): void {
    const { action, outcome, target, count, client_name, client_version, session, address } = entry;
    this.#log.info("audit", { action, outcome, target, client_name, client_version, session, address, count });
  }

  /** In a savepoint: a row that cannot be written must not undo the act. */
  async #insertWithin(sql: TransactionSQL, entry: AuditEntry): Promise<void> {
    try {
      await sql.savepoint((within) => insert(within, [entry]));
    } catch (error) {
      this.#log.error("an audit row could not be written", {
        action: entry.action,
        error: asDeweyError(error).message,
      });
    }
  }

  #writeSoon(delayMs: number): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#writing = this.#write().finally(() => {
        this.#timer = undefined;
        if (this.#waiting.length > 0) this.#writeSoon(RETRY_DELAY_MS);
      });
    }, delayMs);
    this.#timer.unref();
  }

  async #write(): Promise<void> {
    const entries = this.#waiting;
    this.#waiting = [];
    try {
      await this.#database.retried((sql) => insert(sql, entries));
      if (this.#dropped > 0) this.#log.error("audit rows were lost; the log has their lines", { rows: this.#dropped });
      this.#dropped = 0;
    } catch (error) {
      this.#log.error("audit rows could not be written; will try again", { rows: entries.length, error });
      const all = [...entries, ...this.#waiting];
      this.#dropped += Math.max(0, all.length - MOST_WAITING);
      this.#waiting = all.slice(-MOST_WAITING);
    }
  }
}

/** A row that is known already, because a write was tried again, changes nothing. */
async function insert(sql: SQL, entries: AuditEntry[]): Promise<void> {
  await sql`insert into dewey_audit ${sql(
    entries as unknown as Record<string, unknown>[],
    "id",
    "at",
    "action",
    "outcome",
    "target",
    "client_name",
    "client_version",
    "session",
    "address",
    "count",
  )} on conflict (id) do nothing`;
}
