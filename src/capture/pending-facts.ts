import type { CapturedFacts, SourcePlace } from "./captured.ts";

/** Conversations whose facts wait, and messages that these name; more are sent at once. */
const MAX_CONVERSATIONS = 100;
const MAX_MESSAGES = 10_000;
/** Facts of conversations that are named by a message: those of later ones are left out. */
const MAX_UNPLACED = 10_000;

interface Pending {
  facts: CapturedFacts;
  place: SourcePlace;
}

/** A conversation's facts, and for each message that they name whether it is abandoned. */
interface Waiting extends Pending {
  abandoned: Map<string, boolean>;
}

/** Facts about conversations that wait for their messages; later ones replace earlier ones. */
export class PendingFacts {
  #known = new Map<string, Waiting>();
  #unplaced: Pending[] = [];
  #messages = 0;

  get isFull(): boolean {
    return this.#known.size >= MAX_CONVERSATIONS || this.#messages >= MAX_MESSAGES;
  }

  add({ abandoned = [], current = [], ...facts }: CapturedFacts, place: SourcePlace): void {
    const { conversation_id: id } = facts;
    if (id === undefined) {
      if (this.#unplaced.length < MAX_UNPLACED) this.#unplaced.push({ facts, place });
      return;
    }
    const before = this.#known.get(id) ?? { facts: {}, place, abandoned: new Map<string, boolean>() };
    for (const message of abandoned) before.abandoned.set(message, true);
    for (const message of current) before.abandoned.set(message, false);
    this.#messages += abandoned.length + current.length;
    this.#known.set(id, { facts: { ...before.facts, ...facts }, place, abandoned: before.abandoned });
  }

  /** The facts so far, with each list of messages as short as a call takes. */
  take(): Pending[] {
    const pending = [...this.#known.values()].flatMap(pieces);
    this.#known = new Map();
    this.#messages = 0;
    return pending;
  }

  takeUnplaced(): Pending[] {
    const pending = this.#unplaced;
    this.#unplaced = [];
    return pending;
  }
}

function pieces({ facts, place, abandoned }: Waiting): Pending[] {
  const marked = [...abandoned];
  const count = Math.max(1, Math.ceil(marked.length / MAX_MESSAGES));
  return Array.from({ length: count }, (_, index) => {
    const part = marked.slice(index * MAX_MESSAGES, (index + 1) * MAX_MESSAGES);
    const named = (isAbandoned: boolean) => part.flatMap(([id, is]) => (is === isAbandoned ? [id] : []));
    const [left, current] = [named(true), named(false)];
    const lists = { ...(left.length > 0 ? { abandoned: left } : {}), ...(current.length > 0 ? { current } : {}) };
    return { facts: { ...facts, ...lists }, place };
  });
}
