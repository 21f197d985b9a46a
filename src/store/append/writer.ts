import { asDeweyError } from "../../errors.ts";
import type { SQL } from "bun";
import { appendRows, extraMs, prepare, settle } from "./append.ts";
import type { Append, AppendOptions, NewMessage, AppendOutcome, StoredMessage } from "./append.ts";
import { translated } from "../database/database.ts";
import type { Database } from "../database/database.ts";
import type { IndexSorter } from "../search/index-sorter.ts";
import type { Redactor } from "../redact/redact.ts";
import { Late } from "../database/pool.ts";

/** Rows of one group at most: enough that a commit's cost is shared, few enough that its callers are not kept waiting. */
const MAX_GROUP_ROWS = 1000;
/** Characters of one group at most; a single larger message goes alone. */
const MAX_GROUP_CHARACTERS = 4_000_000;
/** Groups under way at once: while one waits for the disk the next is sent. More would only make them smaller. */
const MAX_GROUPS_IN_FLIGHT = 2;
/**
 * What a group costs the database besides its rows is as much as seven rows cost. With so many it hardly counts any more:
 * such a group waits for nobody, and goes beside another.
 */
const AMPLE_ROWS = 16;
/**
 * How long a smaller group waits for callers that were just answered and may call again at once, at most and as a part of
 * the time that the group before it took: what a caller waits more is little of what it waits anyway.
 */
const MAX_GATHER_MS = 2;
const GATHER_SHARE = 0.5;
/** A group that takes longer is a bulk call, or waits for a lock of another's, and then holds up no small one. */
const SLOW_GROUP_MS = 25;

/** The times by which groups go. */
export interface GroupTimes {
  /** Until a group in flight counts as slow. */
  slowMs: number;
  /** How long a small group waits for the callers of one that took `tookMs`. */
  gatherMs(tookMs: number): number;
}

export const groupTimes: GroupTimes = {
  slowMs: SLOW_GROUP_MS,
  gatherMs: (tookMs) => Math.min(MAX_GATHER_MS, GATHER_SHARE * tookMs),
};

/** A group that is being committed. */
interface UnderWay {
  rows: number;
  isSlow: boolean;
}

/**
 * Stores messages in groups. Calls that arrive while a group is being committed go together in the next one, or beside it
 * when they are as many or it takes long; each caller is answered after the commit that holds its own messages. A caller's
 * fault is its own: the database judges every caller of a group by itself, and when a whole group fails it is tried again
 * caller by caller.
 */
export class Writer {
  readonly #database: Database;
  readonly #redactor: Redactor;
  readonly #sorter: IndexSorter;
  readonly #times: GroupTimes;
  #waiting: Append[] = [];
  #isSending = false;
  readonly #underWay = new Set<UnderWay>();
  /** Callers that waited or were answered when the last group ended, and whether they are waited for. */
  #expected = 0;
  #gathering: ReturnType<typeof setTimeout> | undefined;
  #idsInFlight = new Set<string>();
  #conversationsInFlight = new Set<string>();

  constructor(database: Database, redactor: Redactor, sorter: IndexSorter, times: GroupTimes = groupTimes) {
    this.#database = database;
    this.#redactor = redactor;
    this.#sorter = sorter;
    this.#times = times;
  }

  /** Appends to one conversation, all or nothing. */
  async append(conversationId: string, messages: NewMessage[], options: AppendOptions): Promise<StoredMessage[]> {
    const append = prepare(conversationId, messages, options, this.#redactor);
    this.#waiting.push(append);
    // At the end of this turn of the event loop, so that calls that arrived together go together.
    if (!this.#isSending) queueMicrotask(() => this.#send());
    this.#isSending = true;
    // A group has the deadline from when it is sent; its callers have it from when they called.
    const limitMs = this.#database.deadlineMs + extraMs(append.characters);
    const timer = setTimeout(() => {
      this.#waiting = this.#waiting.filter((each) => each !== append);
      append.settle.reject(translated(new Late(limitMs)));
    }, limitMs);
    return append.settle.promise.finally(() => clearTimeout(timer));
  }

  /** Appends inside a transaction of the caller's, to a conversation that this transaction has made. */
  async appendWithin(sql: SQL, conversationId: string, messages: NewMessage[]): Promise<StoredMessage[]> {
    const append = prepare(conversationId, messages, { single: false, followToTrash: false }, this.#redactor);
    settle(append, await appendRows(sql, [append.rows]));
    this.#sorter.stored(append.characters);
    return append.settle.promise;
  }

  #send(): void {
    this.#isSending = false;
    while (this.#isReady()) {
      const group = this.#takeGroup();
      if (group.length === 0) return;
      const underWay = { rows: rowsOf(group), isSlow: false };
      this.#underWay.add(underWay);
      const ids = group.flatMap((append) => append.rows.map((row) => row.id));
      for (const id of ids) this.#idsInFlight.add(id);
      for (const append of group) this.#conversationsInFlight.add(append.conversation);
      const sentMs = performance.now();
      const slow = setTimeout(() => {
        underWay.isSlow = true;
        this.#send();
      }, this.#times.slowMs);
      void this.#commit(group).finally(() => {
        for (const id of ids) this.#idsInFlight.delete(id);
        for (const append of group) this.#conversationsInFlight.delete(append.conversation);
        clearTimeout(slow);
        this.#underWay.delete(underWay);
        this.#gather(group.length, performance.now() - sentMs);
        this.#send();
      });
    }
  }

  /** Waits a moment for the callers of a group that has been answered. */
  #gather(answered: number, tookMs: number): void {
    this.#expected = this.#waiting.length + answered;
    clearTimeout(this.#gathering);
    this.#gathering = setTimeout(() => {
      this.#gathering = undefined;
      this.#send();
    }, this.#times.gatherMs(tookMs));
  }

  /** An ample group goes beside one that is no larger; a small one when only slow ones are, and no callers are waited for. */
  #isReady(): boolean {
    if (this.#waiting.length === 0 || this.#underWay.size === MAX_GROUPS_IN_FLIGHT) return false;
    const ahead = [...this.#underWay].find((group) => !group.isSlow);
    if (rowsOf(this.#waiting) >= Math.max(AMPLE_ROWS, ahead?.rows ?? 0)) return true;
    return ahead === undefined && (this.#gathering === undefined || this.#waiting.length >= this.#expected);
  }

  /**
   * The callers that go next. Those of one conversation keep their order, so they wait while it is under way, and behind
   * one that has to wait. No id goes twice, since an id is judged once a group; and who numbers its turn itself is alone
   * in its conversation, since the others' numbers depend on it.
   */
  #takeGroup(): Append[] {
    const group: Append[] = [];
    const left: Append[] = [];
    const ids = new Set(this.#idsInFlight);
    const waiting = new Set(this.#conversationsInFlight);
    const going = new Set<string>();
    let rows = 0;
    let characters = 0;
    for (const append of this.#waiting) {
      const { conversation } = append;
      const fits =
        rows + append.rows.length <= MAX_GROUP_ROWS && characters + append.characters <= MAX_GROUP_CHARACTERS;
      const numbered = append.rows.some((row) => row.turn !== null);
      const known = append.rows.some((row) => ids.has(row.id));
      if (waiting.has(conversation) || known || (numbered && going.has(conversation)) || (group.length > 0 && !fits)) {
        waiting.add(conversation);
        left.push(append);
        continue;
      }
      group.push(append);
      going.add(conversation);
      if (numbered) waiting.add(conversation);
      for (const row of append.rows) ids.add(row.id);
      rows += append.rows.length;
      characters += append.characters;
    }
    this.#waiting = left;
    return group;
  }

  async #commit(group: Append[]): Promise<void> {
    const characters = group.reduce((sum, append) => sum + append.characters, 0);
    let outcomes: AppendOutcome[];
    try {
      const groups = group.map((append) => append.rows);
      outcomes = await this.#database.repeatable((sql) => appendRows(sql, groups), extraMs(characters));
    } catch (error) {
      await this.#commitApart(group, error);
      return;
    }
    let next = 0;
    for (const append of group) {
      settle(append, outcomes.slice(next, next + append.rows.length));
      next += append.rows.length;
    }
    this.#sorter.stored(characters);
  }

  /** One caller's rows made the whole group fail, or the database is away: then there is no sense in asking it again. */
  async #commitApart(group: Append[], error: unknown): Promise<void> {
    const [only] = group;
    const away = asDeweyError(error).code === "unavailable";
    if (group.length === 1 || away) {
      for (const append of away ? group : only ? [only] : []) append.settle.reject(error);
      return;
    }
    for (const append of group) await this.#commit([append]);
  }
}

function rowsOf(appends: Append[]): number {
  return appends.reduce((sum, append) => sum + append.rows.length, 0);
}
