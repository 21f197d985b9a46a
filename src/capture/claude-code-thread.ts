import type { Json } from "../wire/frame.ts";
import { isText } from "./blocks.ts";
import { Occurrences, derivedId } from "./captured.ts";
import type { Captured, Said } from "./captured.ts";
import { Names, placeId } from "./claude-code-facts.ts";
import type { Place } from "./claude-code-facts.ts";

/** Tool uses whose results are awaited: far more than any client has open at a time. */
const MAX_CALLS = 10_000;

/** The state of a conversation that its later rows depend on. */
export class Thread {
  readonly place: Place;
  readonly conversation: string;
  readonly names: Names;
  promptId = "";
  /** The words said in answer to the current prompt. */
  readonly answers = new Occurrences();
  lastAnswer = "";
  /** Blocks of rows that were there: a compaction writes old rows again. */
  readonly seen = new Set<number | bigint>();
  /** The last row that had an id, and the rows behind it that have none. */
  lastNamed = "";
  readonly nameless = new Occurrences();
  /** The latest tool uses, for their results: a call that was interrupted may have two. */
  readonly calls = new Map<string, { tool: string; time: string | undefined }>();
  /** Prompts that wait in the client's queue, by their text. */
  readonly queued = new Map<string, Said>();

  /** Lines of what was to be done, as calls and reminders told them. */
  readonly #todos = new Set<number | bigint>();

  /** Notes what is to be done. Returns whether all of it was told before. */
  noteTodos(words: string): boolean {
    const before = this.#todos.size;
    // A line may also be the number of a task that waits.
    for (const line of words.split("\n")) if (/\D/.test(line)) this.#todos.add(Bun.hash.xxHash3(line));
    return this.#todos.size === before;
  }

  noteCall(toolUseId: string, call: { tool: string; time: string | undefined }): void {
    this.calls.set(toolUseId, call);
    const [oldest] = this.calls.keys();
    if (this.calls.size > MAX_CALLS && oldest !== undefined) this.calls.delete(oldest);
  }

  constructor(place: Place) {
    this.place = place;
    this.conversation = placeId(place);
    this.names = new Names(place);
  }
}

/** The messages that a row becomes, one for each block of its content. */
export interface RowMessages {
  captured: Captured[];
  ids: string[];
  /** Whether a person's prompt begins here. */
  isPrompt: boolean;
}

/** A row's name: its own id, or its text and place behind the last row that has one. */
export function rowName(thread: Thread, row: Json, text: string): string {
  const { uuid } = row;
  if (isText(uuid)) {
    thread.lastNamed = uuid;
    thread.nameless.clear();
    return uuid;
  }
  const name = derivedId(thread.lastNamed, text);
  return `${name} ${thread.nameless.count(name)}`;
}
