import type { SQL } from "bun";
import { Stretch } from "../../stretch.ts";
import { one } from "../database/one.ts";
import { MAX_SIGNS, signWords } from "./vectors.ts";

/** Passages of one block of memory. */
const BLOCK_PASSAGES = 65_536;
/** Passages that one statement reads: 1.5 MB with 384 dimensions. */
const READ_AT_ONCE = 20_000;
/** Memory for the signs of all passages: 4 million of 384 dimensions, 1.8 million of 1,024. */
const MAX_BYTES = 256_000_000;
/** Of an entry besides its signs: its id, the numbers of its conversation and role, and the entry before of the conversation. */
const ENTRY_BYTES = 17;
/** A conversation's entries are walked where they are at most this share of all; a scan of all is quicker for more. */
const WALKED_SHARE = 1 / 8;
/** Instead of a place: there is none before. */
const NONE = 0xffff_ffff;
/** Passages that are compared between two looks at the time. */
const COMPARED_AT_ONCE = 16_384;
/** Bytes of a row as it is read: the id, the conversation, the role, and the number of signs, before these. */
const ROW_HEAD_BYTES = 8 + 16 + 2 + 4;
/** The roles whose messages are embedded, numbered from 1. */
const ROLES = ["user", "assistant", "tool"];
/** Of passages that were stored before roles were: any may be theirs. */
const ANY_ROLE = 0;
const ROLES_TEXT = `{${ROLES.join(",")}}`;

interface Block {
  ids: Float64Array;
  conversations: Uint32Array;
  roles: Uint8Array;
  /** The place of the conversation's entry before, counted over all blocks. */
  before: Uint32Array;
  signs: Uint32Array;
  count: number;
}

/** Entries of one conversation. */
interface Conversation {
  number: number;
  count: number;
  /** The place of the last one. */
  last: number;
}

/** What a search looks in, as numbers of the index. */
interface Scope {
  /** 1 at the number of each conversation to look in; absent, all. */
  conversations: Uint8Array | undefined;
  /** A role's number; `ANY_ROLE` for all. */
  role: number;
}

/** Numbers of bits in each number of 16 bits. */
const ONES = Uint8Array.from({ length: 65_536 }, (_, value) => {
  let ones = 0;
  for (let left = value; left > 0; left >>= 1) ones += left & 1;
  return ones;
});

/**
 * The signs of all passages of a model, in memory: a query is compared with them in a ninth of the time that PostgreSQL takes
 * (test/bench tells). It only chooses candidates, which the database then knows or does not know any more; so
 * nothing needs to be told of deleted messages.
 */
export class SignIndex {
  readonly model: string;
  readonly #words: number;
  readonly #blocks: Block[] = [];
  /** By their ids in hexadecimal digits. */
  readonly #conversations = new Map<string, Conversation>();
  #size = 0;
  #lastId = 0;
  #isFull = false;
  #reading: Promise<void> | undefined;

  constructor({ id, dimensions }: { id: string; dimensions: number }) {
    this.model = id;
    this.#words = signWords(dimensions);
  }

  /** Passages in it, and its bytes. `isFull`: later passages are not in it, and found within narrow filters only. */
  get use(): { passages: number; bytes: number; isFull: boolean } {
    const bytes = this.#blocks.length * BLOCK_PASSAGES * (ENTRY_BYTES + 4 * this.#words);
    return { passages: this.#size, bytes, isFull: this.#isFull };
  }

  /** The highest id in it. */
  get lastId(): number {
    return this.#lastId;
  }

  /** Reads what was stored since the last time, a part at a time; callers share a reading under way. */
  async read(statement: <Result>(work: (sql: SQL) => Promise<Result>) => Promise<Result>): Promise<void> {
    this.#reading ??= this.#readAll(statement).finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  /** The part of `read` that a search does in its own snapshot. Returns whether all is read. */
  async readOnce(sql: SQL): Promise<boolean> {
    if (this.#reading) return false;
    return (await this.#readPart(sql)) < READ_AT_ONCE;
  }

  async #readAll(statement: <Result>(work: (sql: SQL) => Promise<Result>) => Promise<Result>): Promise<void> {
    while ((await statement((sql) => this.#readPart(sql))) === READ_AT_ONCE);
  }

  async #readPart(sql: SQL): Promise<number> {
    const after = this.#lastId;
    const { count, rows } = await one<{ count: number; rows: Uint8Array | null }>(sql`
      select count(*)::integer as count,
        string_agg(int8send(id) || uuid_send(conversation_id)
          || int2send(coalesce(array_position(${ROLES_TEXT}::text[], role), ${ANY_ROLE})::smallint) || varbit_send(signs),
          ''::bytea order by id) as rows
      from (
        select id, conversation_id, role, signs from dewey_meaning_passages
        where id > ${after} and model = ${this.model}::uuid order by id limit ${READ_AT_ONCE}
      ) as next`);
    // Two searches may have read the same.
    if (rows && this.#lastId === after) this.#add(Buffer.from(rows));
    return count;
  }

  #add(rows: Buffer): void {
    for (let at = 0; at < rows.length;) {
      const bits = rows.readUInt32BE(at + ROW_HEAD_BYTES - 4);
      const bytes = Math.ceil(bits / 8);
      this.#lastId = Number(rows.readBigUInt64BE(at));
      const conversation = rows.toString("hex", at + 8, at + 24);
      const role = rows.readInt16BE(at + 24);
      const signs = rows.subarray(at + ROW_HEAD_BYTES, at + ROW_HEAD_BYTES + bytes);
      if (!this.#isFull) this.#addOne(conversation, role, signs);
      at += ROW_HEAD_BYTES + bytes;
    }
  }

  #addOne(conversation: string, role: number, signs: Buffer): void {
    const block = this.#room();
    if (!block) return;
    const place = block.count;
    block.ids[place] = this.#lastId;
    const number = this.#conversations.size;
    const own = this.#conversations.get(conversation) ?? { number, count: 0, last: NONE };
    if (own.count === 0) this.#conversations.set(conversation, own);
    block.conversations[place] = own.number;
    block.before[place] = own.last;
    own.last = this.#size;
    own.count += 1;
    block.roles[place] = role;
    for (const [index, byte] of signs.entries()) {
      const word = place * this.#words + (index >> 2);
      block.signs[word] = (block.signs[word] ?? 0) | (byte << (24 - 8 * (index & 3)));
    }
    block.count += 1;
    this.#size += 1;
  }

  /** The block that has room; undefined when the memory is used up. */
  #room(): Block | undefined {
    const last = this.#blocks.at(-1);
    if (last && last.count < BLOCK_PASSAGES) return last;
    const bytes = BLOCK_PASSAGES * (ENTRY_BYTES + 4 * this.#words);
    this.#isFull = (this.#blocks.length + 1) * bytes > MAX_BYTES;
    if (this.#isFull) return undefined;
    const block = {
      ids: new Float64Array(BLOCK_PASSAGES),
      conversations: new Uint32Array(BLOCK_PASSAGES),
      roles: new Uint8Array(BLOCK_PASSAGES),
      before: new Uint32Array(BLOCK_PASSAGES),
      signs: new Uint32Array(BLOCK_PASSAGES * this.#words),
      count: 0,
    };
    this.#blocks.push(block);
    return block;
  }

  /**
   * The ids of the passages, up to an id, whose signs are the most like the given ones: `count` of them and those that are as
   * like as the last, within a few thousand. `within` are the conversations to look in, and `role` the role of the messages;
   * absent, all.
   */
  async nearest(
    signs: Uint32Array,
    given: { count: number; upTo: number; within?: readonly string[] | undefined; role?: string | undefined },
  ): Promise<number[]> {
    const { count, upTo, within, role } = given;
    // No passage has the number of a role that is not embedded.
    const number = role === undefined ? ANY_ROLE : ROLES.indexOf(role) + 1 || ROLES.length + 1;
    const own = within?.flatMap((id) => this.#conversations.get(id.replaceAll("-", "")) ?? []);
    if (own && own.reduce((sum, each) => sum + each.count, 0) <= this.#size * WALKED_SHARE)
      return nearestOf(await this.#walk(own, signs, { role: number, upTo }), count);
    const scope = { conversations: own && this.#numbersOf(own), role: number };
    const distances = new Uint16Array(this.#size);
    const histogram = new Uint32Array(MAX_SIGNS + 2);
    const stretch = new Stretch();
    let at = 0;
    const blocks = this.#blocks.map((block) => ({ block, count: block.count }));
    for (const { block, count: held } of blocks) {
      for (let from = 0; from < held; from += COMPARED_AT_ONCE) {
        const to = Math.min(held, from + COMPARED_AT_ONCE);
        this.#compare(block, from, to, signs, scope, distances.subarray(at));
        for (let index = from; index < to; index += 1) {
          const distance = distances[at + index - from] ?? 0;
          histogram[distance] = (histogram[distance] ?? 0) + 1;
        }
        at += to - from;
        await stretch.rest();
      }
    }
    return chosen(blocks, distances, farthest(histogram, count), count, upTo);
  }

  /** Writes the distances of a part of a block; those out of scope are beyond all others. */
  #compare(
    { conversations, roles, signs: stored }: Block,
    from: number,
    to: number,
    signs: Uint32Array,
    { conversations: wanted, role }: Scope,
    distances: Uint16Array,
  ): void {
    const words = this.#words;
    for (let place = from; place < to; place += 1) {
      const isOut = !isOfRole(roles[place]!, role) || (wanted && wanted[conversations[place]!] !== 1);
      distances[place - from] = isOut ? MAX_SIGNS + 1 : distanceOf(signs, stored, place * words, words);
    }
  }

  /** The entries of some conversations. */
  async #walk(
    conversations: Conversation[],
    signs: Uint32Array,
    { role, upTo }: { role: number; upTo: number },
  ): Promise<Near[]> {
    const found: Near[] = [];
    const stretch = new Stretch();
    for (const { last } of conversations) {
      let before = last;
      while (before !== NONE) {
        const block = this.#blocks[Math.floor(before / BLOCK_PASSAGES)]!;
        const place = before % BLOCK_PASSAGES;
        const id = block.ids[place]!;
        if (id <= upTo && isOfRole(block.roles[place]!, role))
          found.push({ id, distance: distanceOf(signs, block.signs, place * this.#words, this.#words) });
        before = block.before[place]!;
      }
      await stretch.rest();
    }
    return found;
  }

  #numbersOf(conversations: Conversation[]): Uint8Array {
    const wanted = new Uint8Array(this.#conversations.size);
    for (const { number } of conversations) wanted[number] = 1;
    return wanted;
  }
}

interface Near {
  id: number;
  distance: number;
}

function isOfRole(stored: number, role: number): boolean {
  return role === ANY_ROLE || stored === role || stored === ANY_ROLE;
}

/** How many signs differ. */
function distanceOf(signs: Uint32Array, stored: Uint32Array, start: number, words: number): number {
  let distance = 0;
  for (let word = 0; word < words; word += 1) {
    const other = signs[word]! ^ stored[start + word]!;
    distance += ONES[other & 0xffff]! + ONES[other >>> 16]!;
  }
  return distance;
}

/** The ids of the nearest. Among equally near ones the later: any fixed order does. */
function nearestOf(found: Near[], count: number): number[] {
  const order = found.toSorted((a, b) => a.distance - b.distance || b.id - a.id);
  return order.slice(0, count).map(({ id }) => id);
}

/** The distance within which `count` passages lie; those out of scope never do. */
function farthest(histogram: Uint32Array, count: number): number {
  let within = 0;
  for (let distance = 0; distance <= MAX_SIGNS; distance += 1) {
    within += histogram[distance] ?? 0;
    if (within >= count) return distance;
  }
  return MAX_SIGNS;
}

function chosen(
  blocks: { block: Block; count: number }[],
  distances: Uint16Array,
  most: number,
  count: number,
  upTo: number,
): number[] {
  const found: Near[] = [];
  let at = 0;
  for (const { block, count: held } of blocks) {
    for (let place = 0; place < held; place += 1, at += 1) {
      const id = block.ids[place] ?? 0;
      const distance = distances[at] ?? 0;
      if (distance <= most && id <= upTo) found.push({ id, distance });
    }
  }
  return nearestOf(found, count);
}
