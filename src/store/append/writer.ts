import { asDeweyError } from "../../errors.ts";
import type { SQL } from "bun";
import { appendRows, extraMs, prepare, prepareInTurns, settle } from "./append.ts";
import type { Append, AppendOptions, AppendOutcome, StoredMessage } from "./append.ts";
import { behindRefused, nextGroup, rowsOf } from "./group.ts";
import type { AppendRow, NewMessage } from "./row.ts";
import { translated } from "../database/database.ts";
import type { Database } from "../database/database.ts";
import type { IndexSorter } from "../search/index-sorter.ts";
import { isHeavy } from "../workshop/workshop.ts";
import type { Workshop } from "../workshop/workshop.ts";
import { Late } from "../database/pool.ts";
import { WordsAhead } from "./words-ahead.ts";

/** Groups in flight at once: while one waits for the disk, the next is sent. More would only make groups smaller. */
const MAX_GROUPS_IN_FLIGHT = 2;
/**
 * Rows from which a group is sent at once, beside another one in flight. A group's fixed cost in the database equals that
 * of seven rows, which hardly matters for a group of this size.
 */
const AMPLE_ROWS = 16;
/**
 * How long a smaller group waits for callers that were just answered and may call again at once: a share of the time
 * the previous group took, up to a maximum. The extra wait is small compared with the commit itself.
 */
const MAX_GATHER_MS = 2;
const GATHER_SHARE = 0.5;
/** A group in flight for longer is a bulk call or waits for a lock; small groups no longer wait for it. */
const SLOW_GROUP_MS = 25;

/** A call with more than this is converted over several turns of the event loop. */
const MAX_MESSAGES_AT_ONCE = 300;
const MAX_CHARACTERS_AT_ONCE = 200_000;

/**
 * Characters of contents in a part of an import's call. Smaller ones cost more commits, larger ones leave the database idle while
 * the first is prepared.
 */
const MAX_PART_CHARACTERS = 300_000;
/** A part with fewer has its words made when it is stored: making them ahead costs two more round trips and a second copy. */
const MIN_CHARACTERS_AHEAD = 50_000;
/** Parts whose words are made ahead at once, each on a connection. A second would only wait for a processor. */
const MAX_PARTS_AHEAD = 1;
/** Connections that must be free for that: one for it, and one for the callers of other conversations. */
const MIN_FREE_CONNECTIONS = 2;

/** When groups are sent. */
export interface GroupTimes {
  /** Time after which a group in flight counts as slow. */
  slowMs: number;
  /** How long a small group waits for the callers of the previous one, which took `tookMs`. */
  gatherMs(tookMs: number): number;
}

export const groupTimes: GroupTimes = {
  slowMs: SLOW_GROUP_MS,
  gatherMs: (tookMs) => Math.min(MAX_GATHER_MS, GATHER_SHARE * tookMs),
};

/** A group in flight. */
interface UnderWay {
  rows: number;
  isSlow: boolean;
}

/**
 * Stores messages in groups. Calls that arrive while a group is in flight form the next one, which is sent beside it when
 * it is as large or when the first is slow. Each caller is answered after the commit of its own messages. One caller's
 * error affects no other: the database judges each caller of a group separately, and when a whole group fails it is
 * retried caller by caller.
 */
export class Writer {
  /** What was stored since the start: messages, and the bytes of their contents. */
  readonly stored = { messages: 0, bytes: 0 };
  readonly #database: Database;
  readonly #workshop: Workshop;
  readonly #sorter: IndexSorter;
  readonly #times: GroupTimes;
  #waiting: Append[] = [];
  #isSending = false;
  /** Parts whose words are made, and which wait for their turn. */
  readonly #ahead = new Map<Append, WordsAhead>();
  readonly #underWay = new Set<UnderWay>();
  /** Callers that waited or were answered when the last group ended, and the timer while they are waited for. */
  #expected = 0;
  #gathering: ReturnType<typeof setTimeout> | undefined;
  /** The last call for each conversation that is being converted over several turns of the event loop. */
  readonly #preparing = new Map<string, Promise<Append>>();
  #idsInFlight = new Set<string>();
  #conversationsInFlight = new Set<string>();

  constructor(database: Database, workshop: Workshop, sorter: IndexSorter, times: GroupTimes = groupTimes) {
    this.#database = database;
    this.#workshop = workshop;
    this.#sorter = sorter;
    this.#times = times;
  }

  /** Appends to one conversation, all or nothing. */
  async append(conversationId: string, messages: NewMessage[], options: AppendOptions): Promise<StoredMessage[]> {
    const append = await this.#prepared(conversationId, messages, options);
    const { call } = append;
    if (call?.hasFailed === true) throw behindRefused();
    this.#waiting.push(append);
    // Sent at the end of this turn of the event loop, so that calls that arrive together share a group.
    if (!this.#isSending) queueMicrotask(() => this.#send());
    this.#isSending = true;
    // A group's deadline starts when it is sent; a caller's starts with its call.
    if (call !== undefined) call.characters += append.characters;
    const limitMs = this.#database.deadlineMs + extraMs(call?.characters ?? append.characters);
    const timer = setTimeout(() => {
      this.#waiting = this.#waiting.filter((each) => each !== append);
      append.settle.reject(translated(new Late(limitMs)));
    }, limitMs);
    return append.settle.promise.finally(() => {
      clearTimeout(timer);
      this.#ahead.get(append)?.leave();
      this.#ahead.delete(append);
    });
  }

  /**
   * The same in parts, which are stored one after the other: while the database stores one, the next is prepared. When a part is
   * not stored, neither are those behind it, and the call throws.
   */
  async appendInParts(
    conversationId: string,
    messages: NewMessage[],
    options: AppendOptions,
  ): Promise<StoredMessage[]> {
    const call = { characters: 0, hasFailed: false };
    const stored = partsOf(messages).map(async ({ first, part }) => {
      try {
        return await this.append(conversationId, part, { ...options, part: { first, call } });
      } catch (error) {
        call.hasFailed = true;
        throw error;
      }
    });
    // Each is waited for: a caller that tries again must not overtake the rest.
    const ends = await Promise.allSettled(stored);
    return ends.flatMap((end) => {
      if (end.status === "rejected") throw end.reason;
      return end.value;
    });
  }

  /** Prepares messages for `appendWithin`, before its transaction: large ones may wait for others. */
  prepare(conversationId: string, messages: NewMessage[]): Promise<Append> {
    return prepareInTurns(conversationId, messages, { single: false, followToTrash: false }, this.#workshop);
  }

  /** Appends within the caller's transaction, to a conversation created in it. */
  async appendWithin(sql: SQL, append: Append): Promise<StoredMessage[]> {
    const outcomes = await appendRows(sql, [append.rows]);
    settle(append, outcomes);
    this.#count(append.rows, outcomes);
    this.#sorter.stored(contentCharacters([append]));
    return append.settle.promise;
  }

  /** Calls for a conversation stay in their order: one behind a call that takes several turns waits for it. */
  async #prepared(conversationId: string, messages: NewMessage[], options: AppendOptions): Promise<Append> {
    const key = conversationId.toLowerCase();
    const before = this.#preparing.get(key);
    if (before === undefined && isShort(messages))
      return prepare(conversationId, messages, options, this.#workshop.redactor);
    const preparing = Promise.resolve(before)
      .catch(() => {})
      .then(() => prepareInTurns(conversationId, messages, options, this.#workshop));
    this.#preparing.set(key, preparing);
    try {
      return await preparing;
    } finally {
      if (this.#preparing.get(key) === preparing) this.#preparing.delete(key);
    }
  }

  #send(): void {
    this.#isSending = false;
    while (this.#isReady()) {
      const inFlight = { ids: this.#idsInFlight, conversations: this.#conversationsInFlight };
      const { group, left } = nextGroup(this.#waiting, inFlight, (append) => this.#ahead.has(append));
      this.#waiting = left;
      if (group.length === 0) break;
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
    this.#makeWordsAhead();
  }

  get #freeConnections(): number {
    const { most = 0, busy = 0 } = this.#database.use()["main"] ?? {};
    return most - busy;
  }

  /** Has the words made of parts that wait for the one before them. */
  #makeWordsAhead(): void {
    for (const append of this.#waiting) {
      if (this.#ahead.size === MAX_PARTS_AHEAD || this.#freeConnections < MIN_FREE_CONNECTIONS) return;
      const isNext = append.call?.hasFailed === false && this.#conversationsInFlight.has(append.conversation);
      if (!isNext || append.characters < MIN_CHARACTERS_AHEAD) continue;
      this.#ahead.set(append, new WordsAhead(this.#database, append));
    }
  }

  /** Waits briefly for the callers that have just been answered. */
  #gather(answered: number, tookMs: number): void {
    this.#expected = this.#waiting.length + answered;
    clearTimeout(this.#gathering);
    this.#gathering = setTimeout(() => {
      this.#gathering = undefined;
      this.#send();
    }, this.#times.gatherMs(tookMs));
  }

  /** An ample group is sent beside one no larger; a small one only beside slow ones, and while no callers are waited for. */
  #isReady(): boolean {
    if (this.#waiting.length === 0 || this.#underWay.size === MAX_GROUPS_IN_FLIGHT) return false;
    const ahead = [...this.#underWay].find((group) => !group.isSlow);
    if (rowsOf(this.#waiting) >= Math.max(AMPLE_ROWS, ahead?.rows ?? 0)) return true;
    return ahead === undefined && (this.#gathering === undefined || this.#waiting.length >= this.#expected);
  }

  async #commit(group: Append[]): Promise<void> {
    const characters = group.reduce((sum, append) => sum + append.characters, 0);
    let outcomes: AppendOutcome[];
    try {
      const groups = group.map((append) => append.rows);
      // Sections are stored in the same transaction as their messages, and only more time has one.
      const leastExtraMs = groups.flat().some(({ sections }) => sections !== null) ? 1 : 0;
      const store = () =>
        this.#database.retried((sql) => appendRows(sql, groups), Math.max(leastExtraMs, extraMs(characters)));
      const ahead = this.#takeAhead(group);
      // Without words nothing is waited for before a connection is taken, so that it counts as busy at once.
      outcomes = (ahead && (await ahead.store())) ?? (await store());
    } catch (error) {
      await this.#commitApart(group, error);
      return;
    }
    let next = 0;
    for (const append of group) {
      const own = outcomes.slice(next, next + append.rows.length);
      settle(append, own);
      this.#count(append.rows, own);
      next += append.rows.length;
    }
    this.#sorter.stored(contentCharacters(group));
  }

  /** The words that were made ahead of a group; those of the next part may be made now. */
  #takeAhead([append]: Append[]): WordsAhead | undefined {
    const ahead = append && this.#ahead.get(append);
    if (ahead) this.#ahead.delete(append);
    return ahead;
  }

  /** Counts the rows that were new. */
  #count(rows: AppendRow[], outcomes: AppendOutcome[]): void {
    for (const [index, { content, contentExact }] of rows.entries()) {
      if (outcomes[index]?.outcome !== "stored") continue;
      this.stored.messages += 1;
      this.stored.bytes += Buffer.byteLength(contentExact ?? content);
    }
  }

  /** Retries a failed group caller by caller, unless the database is unavailable: then every caller is refused. */
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

function contentCharacters(group: Append[]): number {
  return group.flatMap(({ rows }) => rows).reduce((sum, { content }) => sum + content.length, 0);
}

/** Consecutive messages, as many together as are prepared in a moment. */
function partsOf(messages: NewMessage[]): { first: number; part: NewMessage[] }[] {
  const parts: { first: number; part: NewMessage[] }[] = [];
  let characters = Infinity;
  for (const [first, message] of messages.entries()) {
    const part = parts.at(-1)?.part;
    if (part === undefined || characters >= MAX_PART_CHARACTERS) {
      parts.push({ first, part: [message] });
      characters = 0;
    } else part.push(message);
    characters += message.content.length;
  }
  return parts;
}

/** Whether messages are converted in a moment. */
function isShort(messages: NewMessage[]): boolean {
  if (messages.length > MAX_MESSAGES_AT_ONCE || messages.some(isHeavy)) return false;
  return messages.reduce((sum, { content }) => sum + content.length, 0) <= MAX_CHARACTERS_AT_ONCE;
}
