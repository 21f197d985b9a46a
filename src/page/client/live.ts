import { signal } from "@preact/signals";
import { CallError, callError } from "./connection.ts";
import { call } from "./dewey.ts";
import type { Message, NewMessage, NewMessages } from "./replies.ts";

/** A new turn is to be seen within a second of its commit, at a few small queries a second while somebody looks. */
const POLL_MS = 250;
/** While nobody looks at the page. */
const HIDDEN_POLL_MS = 5000;
/** Messages kept on the page; the oldest are let go. */
const MOST_KEPT = 400;
/** Conversations whose latest turns are shown to begin with, and how many of each; of one that is followed alone, more. */
const FIRST_CONVERSATIONS = 3;
const FIRST_TURNS = 8;
const FIRST_TURNS_OF_ONE = 40;
const PAGE = 100;

/** A message with the title of its conversation. */
export interface LiveMessage extends Message {
  conversation_id: string;
  title: string | null;
}

/** What is being stored, in all conversations or in one. Signals tell of what arrives. */
export class Live {
  readonly #conversation: string | undefined;
  readonly #left = new AbortController();
  readonly #titles = new Map<string, string | null>();
  #cursor: string | undefined;
  readonly messages = signal<LiveMessage[]>([]);
  readonly error = signal<CallError | undefined>(undefined);
  readonly isBegun = signal(false);

  constructor(conversation: string | undefined) {
    this.#conversation = conversation;
    void this.#follow();
  }

  leave(): void {
    this.#left.abort();
  }

  /** Goes on after an error, where it was. */
  again(): void {
    this.error.value = undefined;
    void this.#follow();
  }

  async #follow(): Promise<void> {
    const { signal: left } = this.#left;
    const narrowing = this.#conversation === undefined ? {} : { conversation_id: this.#conversation };
    try {
      // The place to follow from comes first, so that nothing stored meanwhile is missed; what came twice is dropped.
      this.#cursor ??= (await call("dewey_new_messages", narrowing, { signal: left })).cursor;
      if (!this.isBegun.value) await this.#add(await this.#latest());
      this.isBegun.value = true;
      while (!left.aborted) {
        const args = { ...narrowing, cursor: this.#cursor, limit: PAGE };
        const reply: NewMessages = await call("dewey_new_messages", args, { signal: left });
        await this.#add(reply.messages);
        this.#cursor = reply.cursor;
        if (!reply.more) await pause(document.hidden ? HIDDEN_POLL_MS : POLL_MS, left);
      }
    } catch (error) {
      if (!left.aborted) this.error.value = callError(error);
    }
  }

  /** The latest turns of the latest conversations, so that the view does not begin empty. */
  async #latest(): Promise<NewMessage[]> {
    const { signal: left } = this.#left;
    const ids =
      this.#conversation === undefined
        ? (await call("dewey_list_conversations", { limit: FIRST_CONVERSATIONS }, { signal: left })).conversations.map(
            ({ id }) => id,
          )
        : [this.#conversation];
    const parts = await Promise.all(ids.map((id) => this.#latestOf(id)));
    return parts.flat();
  }

  async #latestOf(conversation_id: string): Promise<NewMessage[]> {
    const { signal: left } = this.#left;
    const outline = await call(
      "dewey_get_conversation",
      { conversation_id, outline: true, full: true },
      { signal: left },
    );
    this.#titles.set(conversation_id, outline.title);
    const last = outline.next_after_turn ?? outline.turns?.at(-1)?.[1] ?? 0;
    const most = this.#conversation === undefined ? FIRST_TURNS : FIRST_TURNS_OF_ONE;
    const after_turn = Math.max(0, last - most);
    const { messages } = await call("dewey_get_conversation", { conversation_id, after_turn }, { signal: left });
    return messages.map((message) => ({ ...message, conversation_id, session_id: outline.session_id }));
  }

  async #add(arrived: NewMessage[]): Promise<void> {
    if (arrived.length === 0) return;
    const unknown = new Set(arrived.map((each) => each.conversation_id).filter((id) => !this.#titles.has(id)));
    await Promise.all([...unknown].map((id) => this.#readTitle(id)));
    const known = new Set(this.messages.value.map(({ id }) => id));
    const added = arrived
      .filter(({ id }) => !known.has(id))
      .map((each): LiveMessage => {
        const { conversation_id } = each;
        return { ...withKind(each), conversation_id, title: this.#titles.get(conversation_id) ?? null };
      });
    // In the order in which they came; those of the beginning by their time.
    const all = this.isBegun.value
      ? added
      : added.toSorted((a, b) => Date.parse(a.created_at) - Date.parse(b.created_at));
    this.messages.value = [...this.messages.value, ...all].slice(-MOST_KEPT);
  }

  async #readTitle(conversation_id: string): Promise<void> {
    try {
      const { title } = await call(
        "dewey_get_conversation",
        { conversation_id, limit: 1 },
        { signal: this.#left.signal },
      );
      this.#titles.set(conversation_id, title);
    } catch (error) {
      // It was deleted meanwhile.
      if (!(error instanceof CallError) || error.code !== "not_found") throw error;
      this.#titles.set(conversation_id, null);
    }
  }
}

/** New messages do not name their kind beside their metadata. */
function withKind(message: NewMessage | Message): Message {
  const kind = message.metadata?.["kind"];
  return !("kind" in message) && typeof kind === "string" ? { ...message, kind } : message;
}

function pause(ms: number, left: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", done);
      left.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    // Who comes back to the page sees what was stored meanwhile at once.
    document.addEventListener("visibilitychange", done);
    left.addEventListener("abort", done);
  });
}
