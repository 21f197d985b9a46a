import { DeweyError } from "../../errors.ts";
import type { SQL } from "bun";
import { newRow } from "./row.ts";
import type { AppendRow, NewMessage } from "./row.ts";
import type { Redactor } from "../redact/redact.ts";
import { storeSections } from "../search/section-rows.ts";
import { Stretch } from "../../stretch.ts";
import { textArray } from "./texts.ts";
import type { Workshop } from "../workshop/workshop.ts";

/** Characters that fit into any deadline … */
const CHARACTERS_WITHIN_DEADLINE = 1_000_000;
/** … and how much each further one extends it: three times the measured cost of text whose words hardly repeat. */
const EXTRA_MS_PER_CHARACTER = 0.001;
/** Largest turn that a caller may choose, so that numbers remain for the turns after it. */
const MAX_OWN_TURN = 1_000_000_000;

/** How an append differs from a plain one. */
export interface AppendOptions {
  /** Whether the call stores one message; errors then name its fields without an index. */
  single: boolean;
  /** Also store into a conversation in the trash, so that it is complete when restored. */
  followToTrash: boolean;
  /** Of a call that is stored in parts: the place of the first message in it, and what its parts share. */
  part?: { first: number; call: CallInParts } | undefined;
}

/** What the parts of one call share. */
interface CallInParts {
  /** Characters of the parts so far: each waits for those before it. */
  characters: number;
  /** Whether a part was not stored: then those behind it are not stored either, so that the messages stay in order. */
  hasFailed: boolean;
}

/** A stored message's id, turn and time. */
export interface StoredMessage {
  message_id: string;
  turn_number: number;
  created_at: string;
}

/** The messages of one call: all are stored, or none. */
export interface Append {
  conversation: string;
  rows: AppendRow[];
  characters: number;
  /** What it shares with other parts of its call. */
  call: CallInParts | undefined;
  /** The index of each message's row; a message that occurs twice in the call has one row. */
  rowOf: number[];
  /** Prefix of a message's fields in errors: "" for a single message, otherwise "messages[3].". */
  path(index: number): string;
  settle: PromiseWithResolvers<StoredMessage[]>;
}

/** The database's verdict on a message. */
export interface AppendOutcome {
  outcome: "stored" | "repeated" | "missing" | "conflict" | "taken";
  message_id: string;
  turn_number: number;
  created_at: Date;
}

/** How far storing this many characters extends the deadline. */
export function extraMs(characters: number): number {
  return Math.ceil(Math.max(0, characters - CHARACTERS_WITHIN_DEADLINE) * EXTRA_MS_PER_CHARACTER);
}

/** Converts a caller's messages into rows. Throws `invalid` and `conflict`, naming the field. */
export function prepare(
  conversation: string,
  messages: NewMessage[],
  options: AppendOptions,
  redactor: Redactor,
): Append {
  const preparation = new Preparation(conversation, options);
  for (const message of messages) preparation.add(message, newRow(redactor, ...preparation.order(message)));
  return preparation.append;
}

/** The same, with turns for others in between, and large messages aside: a call may hold thousands of long ones. */
export async function prepareInTurns(
  conversation: string,
  messages: NewMessage[],
  options: AppendOptions,
  workshop: Workshop,
): Promise<Append> {
  const preparation = new Preparation(conversation, options);
  const stretch = new Stretch();
  for (const message of messages) {
    preparation.add(message, await workshop.make("row", ...preparation.order(message)));
    await stretch.rest();
  }
  return preparation.append;
}

/** The messages of one call, while their rows are made one by one. */
class Preparation {
  readonly append: Append;
  readonly #followToTrash: boolean;
  readonly #places = new Map<string, number>();

  constructor(conversation: string, options: AppendOptions) {
    const { first, call } = options.part ?? { first: 0, call: undefined };
    const path = (index: number) => (options.single ? "" : `messages[${first + index}].`);
    const settle = Promise.withResolvers<StoredMessage[]>();
    this.append = { conversation: conversation.toLowerCase(), rows: [], characters: 0, call, rowOf: [], path, settle };
    this.#followToTrash = options.followToTrash;
  }

  /** What the row of a message is made from. */
  order(message: NewMessage): [conversation: string, message: NewMessage, followToTrash: boolean] {
    if (message.turn_number !== undefined && message.turn_number > MAX_OWN_TURN) {
      throw new DeweyError("invalid", `turn_number should be at most ${MAX_OWN_TURN}`, { field: "turn_number" });
    }
    return [this.append.conversation, message, this.#followToTrash];
  }

  /** Takes the next message's row; one that the call has already is left out. */
  add(message: NewMessage, row: AppendRow): void {
    const { append } = this;
    const known = message.message_id === undefined ? undefined : this.#places.get(row.id);
    if (known !== undefined && append.rows[known]?.hash !== row.hash) {
      throw idConflict(`${append.path(append.rowOf.length)}message_id`, row.id);
    }
    append.rowOf.push(known ?? append.rows.length);
    append.characters += [row.content, row.contentExact, row.metadata, row.metadataExact, row.searchable].reduce(
      (sum, text) => sum + (text?.length ?? 0),
      (row.sections ?? []).reduce((sum, { words }) => sum + words.length, 0),
    );
    if (known !== undefined) return;
    this.#places.set(row.id, append.rows.length);
    append.rows.push(row);
  }
}

/**
 * Calls the database function once; verdicts come in the order of the rows. `words` is a cursor in which their words wait; what
 * these were made from is not sent again. Rows with sections need a transaction.
 */
export async function appendRows(sql: SQL, groups: AppendRow[][], words?: string): Promise<AppendOutcome[]> {
  const rows = groups.flat();
  const callers = groups.flatMap((group, caller) => group.map(() => caller));
  const column = <Key extends keyof AppendRow>(key: Key) => rows.map((row) => row[key]);
  const outcomes: AppendOutcome[] = await sql`select outcome, message_id, turn_number, created_at from dewey_append(
    ${sql.array(callers, "INTEGER")}::integer[],
    ${sql.array(column("conversation"), "UUID")}::uuid[],
    ${sql.array(column("id"), "UUID")}::uuid[],
    ${sql.array(column("turn"), "INTEGER")}::integer[],
    ${sql.array(column("role"), "TEXT")}::text[],
    ${textArray(sql, column("content"))},
    ${sql.array(column("contentExact"), "TEXT")}::text[],
    ${sql.array(column("metadata"), "TEXT")}::text[],
    ${sql.array(column("metadataExact"), "TEXT")}::text[],
    ${sql.array(column("time"), "TIMESTAMPTZ")}::timestamptz[],
    ${sql.array(column("hash"), "TEXT")}::text[],
    ${textArray(sql, words === undefined ? column("searchable") : rows.map(() => null))},
    ${sql.array(column("followToTrash"), "BOOLEAN")}::boolean[],
    ${words ?? null}::text::refcursor
  )`;
  await storeSections(sql, newlyStored(groups, outcomes));
  return outcomes;
}

/** The rows that were stored: none of a call with one that was refused, whatever the verdicts on the others. */
function newlyStored(groups: AppendRow[][], outcomes: AppendOutcome[]): AppendRow[] {
  let next = 0;
  return groups.flatMap((group) => {
    const own = outcomes.slice(next, next + group.length);
    next += group.length;
    const isRefused = own.some(({ outcome }) => !/stored|repeated/.test(outcome));
    return isRefused ? [] : group.filter((_, index) => own[index]?.outcome === "stored");
  });
}

/** Resolves a caller's promise, or rejects it with the first message that could not be stored. */
export function settle(append: Append, outcomes: AppendOutcome[]): void {
  const bad = append.rowOf.findIndex((row) => !/stored|repeated/.test(outcomes[row]?.outcome ?? ""));
  const outcome = bad === -1 ? undefined : outcomes[append.rowOf[bad] ?? 0];
  if (outcome) {
    append.settle.reject(refusal(outcome, append, bad));
    return;
  }
  append.settle.resolve(
    append.rowOf.flatMap((row) => {
      const stored = outcomes[row];
      return stored
        ? [
            {
              message_id: stored.message_id,
              turn_number: stored.turn_number,
              created_at: stored.created_at.toISOString(),
            },
          ]
        : [];
    }),
  );
}

function refusal(outcome: AppendOutcome, append: Append, index: number): DeweyError {
  const row = append.rows[append.rowOf[index] ?? 0];
  if (outcome.outcome === "missing") {
    return new DeweyError(
      "not_found",
      `there is no conversation ${row?.conversation}; begin one first, or correct the id`,
      {
        field: "conversation_id",
      },
    );
  }
  if (outcome.outcome === "taken") {
    return new DeweyError(
      "conflict",
      `turn ${row?.turn} is taken in this conversation; leave turn_number out to get the next`,
      {
        field: "turn_number",
      },
    );
  }
  return idConflict(`${append.path(index)}message_id`, outcome.message_id);
}

function idConflict(field: string, id: string): DeweyError {
  const message = `${field} ${id} is taken by another message; give each message an id of its own, or repeat a call unchanged`;
  return new DeweyError("conflict", message, { field });
}
