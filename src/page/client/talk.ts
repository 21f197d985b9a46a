import { batch, signal } from "@preact/signals";
import { callError } from "./connection.ts";
import type { CallError } from "./connection.ts";
import { call } from "./dewey.ts";
import type { Conversation, Message, OutlinePrompt } from "./replies.ts";
import type { ReadArguments } from "./tools.ts";
import { Turns } from "./turns.ts";

/** Messages asked for at once. */
const BLOCK_ROWS = 60;
/** Of the first ones, those before the turn that is opened: as many as are drawn above the window. */
const ROWS_BEFORE = 20;
/** Messages kept; those farthest from the window are let go, since a conversation may have any number. */
const MOST_KEPT = 3000;

/** A conversation that is wanted, at a turn. With `everything`, bookkeeping and abandoned branches belong to it. */
export interface AskedTalk {
  id: string;
  everything: boolean;
  turn: number | undefined;
}

/** What was begun before the view was there. */
let begun: { asked: AskedTalk; talk: Talk } | undefined;

/** Begins to read a conversation for the view that will show it. */
export function beginTalk(asked: AskedTalk): void {
  begun = { asked, talk: new Talk(asked) };
}

/** The conversation, as it was begun or anew. */
export function talkOf(asked: AskedTalk): Talk {
  const known = begun;
  begun = undefined;
  const isMeant =
    known?.asked.id === asked.id && known.asked.everything === asked.everything && known.asked.turn === asked.turn;
  if (known !== undefined && isMeant) return known.talk;
  known?.talk.leave();
  return new Talk(asked);
}

/** One conversation, of which only what is looked at is here. Signals tell of what arrives. */
export class Talk {
  readonly id: string;
  readonly #everything: boolean;
  readonly #turn: number | undefined;
  readonly #left = new AbortController();
  readonly #messages = new Map<number, Message>();
  /** Its facts; undefined until they are here. */
  readonly facts = signal<Conversation | undefined>(undefined);
  /** Its turns: to begin with those around the one that is opened, and then all of them. */
  readonly turns = signal(new Turns([]));
  /** Whether all turns and prompts are known. */
  readonly isOutlined = signal(false);
  readonly prompts = signal<OutlinePrompt[]>([]);
  /** Why the latest reading failed. */
  readonly error = signal<CallError | undefined>(undefined);
  /** Grows with each arrival of messages. */
  readonly arrivals = signal(0);
  /** Rows that are drawn; none to begin with. */
  #wanted: [first: number, last: number] = [0, -1];
  #isLoading = false;
  #isExtending = false;
  #stretches: [first: number, last: number][] = [];

  constructor({ id, everything, turn }: AskedTalk) {
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

  /** Reads the messages at the turn, which are shown as soon as they are here, and beside them the outline. */
  async #begin(): Promise<void> {
    try {
      await Promise.all([this.#readFirst(), this.#readOutline(undefined)]);
    } catch (error) {
      this.#failed(error);
    }
  }

  async #readFirst(): Promise<void> {
    // What is wanted meanwhile may be among these.
    this.#isLoading = true;
    const { messages, ...facts } = await this.#readFrom(
      Math.max(0, (this.#turn ?? 1) - 1 - ROWS_BEFORE),
      BLOCK_ROWS,
    ).finally(() => (this.#isLoading = false));
    // Around a turn that is not there the outline tells what is.
    if (!this.isOutlined.value && messages.some(({ turn }) => turn >= (this.#turn ?? 1)))
      batch(() => {
        this.facts.value ??= { messages: [], ...facts };
        this.turns.value = Turns.of(messages.map(({ turn }) => turn));
      });
    await this.#load();
  }

  /** Tries again what could not be read. */
  async again(): Promise<void> {
    this.error.value = undefined;
    await (this.isOutlined.value ? Promise.all([this.extend(), this.#load()]) : this.#begin());
  }

  /** Reads what was stored since the outline was read. */
  async extend(): Promise<void> {
    if (!this.isOutlined.value || this.#isExtending) return;
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
    const prompts = from === undefined ? [] : [...this.prompts.value];
    const stretches = from === undefined ? [] : [...this.#stretches];
    let first: Conversation | undefined;
    let after = from;
    do {
      const part = await this.#read({ outline: true, full: true, after_turn: after });
      first ??= part;
      stretches.push(...(part.turns ?? []));
      prompts.push(...(part.prompts ?? []));
      after = part.next_after_turn;
    } while (after !== undefined);
    batch(() => {
      if (from === undefined) this.facts.value = first;
      if (prompts.length !== this.prompts.value.length) this.prompts.value = prompts;
      if (from === undefined || stretches.length !== this.#stretches.length) this.turns.value = new Turns(stretches);
      this.#stretches = stretches;
      this.isOutlined.value = true;
    });
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

  async #readFrom(after: number, limit: number): Promise<Conversation> {
    const part = await this.#read({ after_turn: after, limit });
    for (const message of part.messages) this.#messages.set(message.turn, message);
    this.#forget();
    this.arrivals.value += 1;
    return part;
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
