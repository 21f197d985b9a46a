import { signal } from "@preact/signals";
import { callError } from "./connection.ts";
import type { CallError } from "./connection.ts";
import { call } from "./dewey.ts";
import type { Conversation, Message, OutlinePrompt } from "./replies.ts";
import type { ReadArguments } from "./tools.ts";
import { Turns } from "./turns.ts";

/** Messages asked for at once. */
const BLOCK_ROWS = 60;
/** Messages kept; those farthest from the window are let go, since a conversation may have any number. */
const MOST_KEPT = 3000;

/** One conversation, of which only what is looked at is here. Signals tell of what arrives. */
export class Talk {
  readonly id: string;
  readonly #everything: boolean;
  readonly #turn: number | undefined;
  readonly #left = new AbortController();
  readonly #messages = new Map<number, Message>();
  /** Its facts and its outline; undefined until they are here. */
  readonly facts = signal<Conversation | undefined>(undefined);
  readonly turns = signal(new Turns([]));
  readonly prompts = signal<OutlinePrompt[]>([]);
  /** Why the latest reading failed. */
  readonly error = signal<CallError | undefined>(undefined);
  /** Grows with each arrival of messages. */
  readonly arrivals = signal(0);
  #wanted: [first: number, last: number] = [0, BLOCK_ROWS - 1];
  #isLoading = false;
  #isExtending = false;
  #stretches: [first: number, last: number][] = [];

  /** With `everything`, bookkeeping and abandoned branches belong to it. */
  constructor(id: string, { everything, turn }: { everything: boolean; turn: number | undefined }) {
    this.id = id;
    this.#everything = everything;
    this.#turn = turn;
    void this.#begin();
  }

  /** The message of a turn, if it is here. */
  message(turn: number): Message | undefined {
    return this.#messages.get(turn);
  }

  /** Asks for the messages of these rows; of earlier wishes, what has not begun is dropped. */
  want(first: number, last: number): void {
    this.#wanted = [first, last];
    void this.#load();
  }

  /** Sets facts that a person has just changed. */
  changed(facts: Partial<Conversation>): void {
    if (this.facts.value !== undefined) this.facts.value = { ...this.facts.value, ...facts };
  }

  /** Ends all calls. */
  leave(): void {
    this.#left.abort();
  }

  /** Reads the outline, and beside it the messages at the turn, so that the first look needs one round trip. */
  async #begin(): Promise<void> {
    const after = Math.max(0, (this.#turn ?? 1) - 1);
    this.#stretches = [];
    this.prompts.value = [];
    try {
      await Promise.all([this.#readOutline(undefined), this.#readFrom(after, BLOCK_ROWS)]);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Tries again what could not be read. */
  async again(): Promise<void> {
    this.error.value = undefined;
    await (this.facts.value === undefined ? this.#begin() : Promise.all([this.extend(), this.#load()]));
  }

  /** Reads what was stored since the outline was read. */
  async extend(): Promise<void> {
    if (this.facts.value === undefined || this.#isExtending) return;
    this.#isExtending = true;
    try {
      await this.#readOutline(this.turns.value.last);
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#isExtending = false;
    }
  }

  /** Reads a message of which only the beginning is here. Throws a `CallError`. */
  async readWhole(turn: number): Promise<void> {
    const { messages } = await this.#read({ turn, full: true });
    for (const message of messages) this.#messages.set(message.turn, message);
    this.arrivals.value += 1;
  }

  async #readOutline(from: number | undefined): Promise<void> {
    let after = from;
    do {
      const part = await this.#read({ outline: true, full: true, after_turn: after });
      this.#stretches.push(...(part.turns ?? []));
      if (after === undefined) this.facts.value = part;
      if (part.prompts?.length !== 0) this.prompts.value = [...this.prompts.value, ...(part.prompts ?? [])];
      if (part.turns?.length !== 0) this.turns.value = new Turns(this.#stretches);
      after = part.next_after_turn;
    } while (after !== undefined);
  }

  async #load(): Promise<void> {
    if (this.#isLoading) return;
    this.#isLoading = true;
    try {
      for (let row = this.#missing(); row !== undefined; row = this.#missing()) {
        const turn = this.turns.value.turnAt(row) ?? 0;
        await this.#readFrom(turn - 1, BLOCK_ROWS);
        // A message that was taken away meanwhile would be asked for again and again.
        if (!this.#messages.has(turn)) break;
      }
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#isLoading = false;
    }
  }

  /** The first wanted row that is not here. */
  #missing(): number | undefined {
    const [first, last] = this.#wanted;
    for (let row = first; row <= last; row += 1) {
      const turn = this.turns.value.turnAt(row);
      if (turn === undefined) return undefined;
      if (!this.#messages.has(turn)) return row;
    }
    return undefined;
  }

  async #readFrom(after: number, limit: number): Promise<void> {
    const { messages } = await this.#read({ after_turn: after, limit });
    for (const message of messages) this.#messages.set(message.turn, message);
    this.#forget();
    this.arrivals.value += 1;
  }

  #read(args: Omit<ReadArguments, "conversation_id">) {
    const everything = this.#everything ? { everything: true } : {};
    const wanted = { conversation_id: this.id, ...everything, ...args };
    return call("dewey_get_conversation", wanted, { signal: this.#left.signal });
  }

  #forget(): void {
    if (this.#messages.size <= MOST_KEPT) return;
    const middle = this.turns.value.turnAt(Math.floor((this.#wanted[0] + this.#wanted[1]) / 2)) ?? 0;
    const byDistance = [...this.#messages.keys()].toSorted((a, b) => Math.abs(b - middle) - Math.abs(a - middle));
    for (const turn of byDistance.slice(0, this.#messages.size - MOST_KEPT / 2)) this.#messages.delete(turn);
  }

  #failed(error: unknown): void {
    if (this.#left.signal.aborted) return;
    this.error.value = callError(error);
  }
}
