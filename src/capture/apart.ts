import type { Captured, SourcePlace } from "./captured.ts";

/** Conversations of which something waits for their beginning; of later ones it is left out. */
const MAX_CONVERSATIONS = 10_000;

/** What stands apart from a conversation that another source begins, such as its title in an index, in its order. */
export interface Apart {
  conversation: string;
  told: { captured: Captured; place: SourcePlace }[];
}

/** What stands apart from conversations, until these are there: the files of a client are read in any order. */
export class ApartFromConversations {
  readonly #new = new Map<string, Apart>();
  /** Whose conversation was not there. */
  readonly #waiting = new Map<string, Apart>();

  add({ conversation, captured }: { conversation: string; captured: Captured[] }, place: SourcePlace): void {
    const apart = this.#new.get(conversation) ?? { conversation, told: [] };
    apart.told.push(...captured.map((each) => ({ captured: each, place })));
    this.#new.set(conversation, apart);
  }

  /** Keeps what its conversation was not there for, until that has begun. */
  wait(apart: Apart): void {
    if (this.#waiting.size < MAX_CONVERSATIONS) this.#waiting.set(apart.conversation, apart);
  }

  /** Takes what is new, and what has waited for conversations that have begun. */
  ready(begun: ReadonlySet<string>): Apart[] {
    const ready = [...this.#waiting.values()].filter(({ conversation }) => begun.has(conversation));
    for (const { conversation } of ready) this.#waiting.delete(conversation);
    ready.push(...this.#new.values());
    this.#new.clear();
    return ready;
  }
}
