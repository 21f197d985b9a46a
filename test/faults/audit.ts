import type { Rpc } from "../support/rpc.ts";
import { isAnswered } from "./ledger.ts";
import type { Call, Ledger } from "./ledger.ts";
import { TOKEN, answerOf, textOf } from "./report.ts";

/** Everything wrong with the stored data, by kind. */
export interface Findings {
  /** Answered calls without a stored call or result: right after a strike they may still be in flight. */
  lost: string[];
  /** Calls or results stored more than once. */
  doubled: string[];
  /** Turns, calls or results out of order. */
  disordered: string[];
  /** Stored with wrong content, or in the wrong conversation. */
  mixed: string[];
}

interface Message {
  turn: number;
  role: string;
  content: string;
  metadata: { method?: string; id?: unknown; outcome?: string } | null;
}

interface Conversation {
  id: string;
  message_count: number;
  messages: Message[];
}

/** A stored call and its results. */
interface Stored {
  call: Call;
  conversation: string;
  turn: number;
  results: Message[];
}

/** Conversations or messages per request. */
const PAGE = 100;

/** Compares the stored data, read through the tools, with what the clients saw. */
export class Audit {
  readonly #ledger: Ledger;
  readonly #conversations = new Map<string, Conversation>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  get storedCalls(): number {
    return [...this.#conversations.values()].reduce((sum, { messages }) => sum + messages.filter(isCall).length, 0);
  }

  /** Reads what is new since the last time, or everything with `again`. Returns whether there was anything. */
  async read(dewey: Rpc, again = false): Promise<boolean> {
    if (again) this.#conversations.clear();
    let hasChanged = false;
    for (let offset = 0; ; offset += PAGE) {
      const page = (await dewey.tool("dewey_list_conversations", { limit: PAGE, offset, sort_by: "created_at" })) as {
        conversations: { id: string; message_count: number }[];
      };
      for (const { id, message_count } of page.conversations) {
        const known = this.#conversations.get(id);
        if (known?.message_count === message_count) continue;
        hasChanged = true;
        const messages = [...(known?.messages ?? []), ...(await rest(dewey, id, known?.messages.at(-1)?.turn ?? 0))];
        this.#conversations.set(id, { id, message_count, messages });
      }
      if (page.conversations.length < PAGE) return hasChanged;
    }
  }

  find(): Findings {
    const findings: Findings = { lost: [], doubled: [], disordered: [], mixed: [] };
    const stored = new Map<string, Stored[]>();
    for (const conversation of this.#conversations.values()) {
      for (const each of this.#conversation(conversation, findings)) {
        stored.set(each.call.token, [...(stored.get(each.call.token) ?? []), each]);
      }
    }
    for (const call of this.#ledger.calls.values()) judge(call, stored.get(call.token) ?? [], findings);
    return findings;
  }

  /** Whether search finds a call and its result. */
  async isFound(dewey: Rpc, call: Call): Promise<boolean> {
    const { results } = (await dewey.tool("dewey_search", { query: `"${call.token}"`, limit: 10 })) as {
      results: { role: string; content: string }[];
    };
    const roles = results.filter(({ content }) => TOKEN.exec(content)?.[0] === call.token).map(({ role }) => role);
    return roles.toSorted().join() === "assistant,user";
  }

  /** Returns the calls in a conversation, and adds to the findings what is wrong with it. */
  #conversation({ id, messages, message_count }: Conversation, findings: Findings): Stored[] {
    const turns = messages.map((message) => message.turn);
    if (message_count !== messages.length || turns.some((turn, index) => turn !== index + 1)) {
      findings.disordered.push(
        `conversation ${id} counts ${message_count} and has ${turns.length} turns up to ${turns.at(-1)}`,
      );
    }
    const byId = new Map<string, Stored>();
    // That a call was never answered is recorded too, and is no answer.
    const calls = messages.filter(
      ({ metadata }) => metadata?.method === "tools/call" && metadata.outcome !== "unanswered",
    );
    for (const message of calls) {
      const key = JSON.stringify(message.metadata?.id);
      if (!isCall(message)) {
        const stored = byId.get(key);
        if (stored) stored.results.push(message);
        else findings.disordered.push(`conversation ${id} has a result of ${key} and no call before it`);
        continue;
      }
      const call = this.#ledger.calls.get(TOKEN.exec(message.content)?.[0] ?? "");
      if (!call) findings.mixed.push(`no client made the call ${message.content.slice(0, 100)} in ${id}`);
      else if (byId.has(key)) findings.doubled.push(`call ${key} in conversation ${id}`);
      else byId.set(key, { call, conversation: id, turn: message.turn, results: [] });
    }
    findings.disordered.push(...orderOf(id, [...byId.values()]));
    return [...byId.values()];
  }
}

/** A conversation's messages after a turn, in pages small enough for a database that has just restarted. */
async function rest(dewey: Rpc, conversation: string, after: number): Promise<Message[]> {
  const messages: Message[] = [];
  for (let turn: number | undefined = after; turn !== undefined;) {
    const page = (await dewey.tool("dewey_get_conversation", {
      conversation_id: conversation,
      after_turn: turn,
      limit: PAGE,
      full: true,
    })) as { messages: Message[]; next_after_turn?: number };
    messages.push(...page.messages);
    turn = page.next_after_turn;
  }
  return messages;
}

function isCall(message: Message): boolean {
  return message.metadata?.method === "tools/call" && message.role === "user";
}

/** Answered calls must be in the order they were sent, and their results in the order they were received. */
function orderOf(conversation: string, stored: Stored[]): string[] {
  const answered = stored.filter(({ call }) => isAnswered(call));
  const sessions = new Set(stored.map(({ call }) => call.session));
  const bySending = answered.toSorted((a, b) => a.turn - b.turn).map(({ call }) => call.id);
  const byAnswer = answered
    .flatMap(({ call, results }) => results.map(({ turn }) => ({ turn, place: call.answeredPlace ?? 0 })))
    .toSorted((a, b) => a.turn - b.turn)
    .map(({ place }) => place);
  return [
    ...(sessions.size > 1 ? [`conversation ${conversation} holds ${[...sessions].join(" and ")}`] : []),
    ...(isAscending(bySending) ? [] : [`conversation ${conversation} has the calls ${bySending.join()}`]),
    ...(isAscending(byAnswer) ? [] : [`conversation ${conversation} has the answers ${byAnswer.join()}`]),
  ];
}

function isAscending(numbers: number[]): boolean {
  return numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? 0));
}

/** Compares one call with what is stored of it. */
function judge(call: Call, stored: Stored[], findings: Findings): void {
  const results = stored.flatMap((each) => each.results);
  if (stored.length > 1) findings.doubled.push(`the call ${call.token}`);
  if (results.length > 1) findings.doubled.push(`the result of ${call.token}`);
  if (isAnswered(call) && stored.length === 0) findings.lost.push(`the call ${call.token}`);
  if (isAnswered(call) && results.length === 0) findings.lost.push(`the result of ${call.token}`);
  for (const { role, content, metadata } of results) {
    if (isAnswered(call) && metadata?.outcome !== call.state) {
      findings.mixed.push(`${call.token} was answered with ${call.state}, and ${metadata?.outcome} is stored`);
    }
    const expected = answerOf(call.tool, textOf(call.token, call.characters));
    if ((role === "assistant" || call.tool === "fail") && metadata?.outcome === "success" && content !== expected) {
      findings.mixed.push(`the result of ${call.token} is stored as ${content.slice(0, 100)}`);
    }
  }
}
