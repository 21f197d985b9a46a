import { isObject, viewFrame } from "../../wire/frame.ts";
import type { FrameView, Json } from "../../wire/frame.ts";
import type {
  ClientFacts,
  Entry,
  FrameEntry,
  GapEntry,
  OpenCall,
  SessionClose,
  SessionOpen,
  SessionState,
  StateEntry,
} from "./entry.ts";

/** Requests of one side that are remembered until they are answered; many never are. The oldest are forgotten. */
const MAX_OPEN_CALLS = 10_000;
/** What stands for a request that is missing. */
export const UNKNOWN_METHOD = "unknown";
/** What stands for the upstream of a session whose opening is damaged. */
const UNKNOWN_UPSTREAM = "unknown";
/** Requests whose frames are recorded without `"record": "all"`: those in which somebody says or does something. */
const spoken = new Set(["tools/call", "prompts/get", "resources/read", "sampling/createMessage", "elicitation/create"]);

export interface OpenSession {
  open: SessionOpen;
  begun: boolean;
  client: ClientFacts;
  lastSequence: number;
  lastTime: number;
  /** Whether frames are missing: answers may come then whose questions were among them. */
  hasGap: boolean;
  calls: Map<string, OpenCall>;
}

/** What an entry is to its session. */
export interface Noted {
  session: OpenSession;
  /** Whether the session's conversation begins with it. */
  begins: boolean;
  /** Of a frame: its messages; undefined when it is beyond JavaScript's own limits. */
  messages: NotedMessage[] | undefined;
}

export interface NotedMessage {
  view: FrameView;
  /** Which of a batch. */
  index: number;
  /** The request that it is, or answers, where one is known. */
  call: OpenCall | undefined;
  isRecorded: boolean;
}

/**
 * Keeps account of what is open in a journal: sessions, and calls without an answer. Who writes a journal and who reads
 * it take the same entries, and so have the same account of any place in it.
 */
export class Ledger {
  /** Whether conversations are begun once more, because what was before may be missing from the store. */
  #beginsAnew: boolean;
  #sessions = new Map<string, OpenSession>();

  constructor({ beginsAnew }: { beginsAnew: boolean } = { beginsAnew: false }) {
    this.#beginsAnew = beginsAnew;
  }

  has(session: string): boolean {
    return this.#sessions.has(session);
  }

  get sessions(): OpenSession[] {
    return [...this.#sessions.values()];
  }

  /** What an entry is; undefined for what is no part of a session's course, or was taken before. `view` is its frame's, if known. */
  take(entry: Entry, view?: FrameView): Noted | undefined {
    if (entry.kind === "state") return this.#restore(entry);
    if (entry.kind === "open") return this.#open(entry);
    const session = this.#sessions.get(entry.session) ?? this.#found(entry);
    // An entry that is there already, in a state or from an earlier reading.
    if (entry.sequence <= session.lastSequence) return undefined;
    session.lastSequence = entry.sequence;
    session.lastTime = entry.time;
    const wasBegun = session.begun;
    const messages = entry.kind === "frame" ? notedMessages(session, entry, view ?? viewFrame(entry.frame)) : [];
    if (entry.kind === "close") this.#sessions.delete(entry.session);
    if (entry.kind === "gap") session.hasGap = true;
    if (entry.kind !== "frame") session.begun = true;
    return { session, begins: session.begun && !wasBegun, messages };
  }

  /** What must be known of the entries so far to understand those that follow. */
  state(): StateEntry {
    return { kind: "state", sessions: this.sessions.map((session) => ({ ...session, calls: [...session.calls] })) };
  }

  #open(open: SessionOpen): undefined {
    if (!this.#sessions.has(open.session)) this.#sessions.set(open.session, newSession(open));
  }

  /** A session whose opening is in a damaged piece of the spool: what is left of it is recorded all the same. */
  #found({ session: id, time }: FrameEntry | SessionClose | GapEntry): OpenSession {
    const open = { kind: "open", session: id, time, upstream: UNKNOWN_UPSTREAM, record: "calls" } as const;
    const session = newSession({ ...open, wire: "unknown" });
    this.#sessions.set(id, session);
    return session;
  }

  /** A state says everything that is open, so that it also corrects what damage has hidden. */
  #restore(entry: StateEntry): undefined {
    const sessions = entry.sessions.map((state) => sessionOf(state, this.#beginsAnew));
    this.#sessions = new Map(sessions.map((session) => [session.open.session, session]));
    this.#beginsAnew = false;
  }
}

function newSession(open: SessionOpen): OpenSession {
  const hasGap = open.wire === "unknown";
  return { open, begun: false, client: {}, lastSequence: 0, lastTime: open.time, hasGap, calls: new Map() };
}

function sessionOf(state: SessionState, beginsAnew: boolean): OpenSession {
  return {
    ...state,
    begun: state.begun && !beginsAnew,
    client: state.client ?? {},
    calls: new Map(state.calls),
  };
}

function notedMessages(session: OpenSession, entry: FrameEntry, view: FrameView): NotedMessage[] | undefined {
  try {
    if (view.kind !== "batch") return [notedMessage(session, entry, view, 0)];
    return view.messages.map((each, index) => notedMessage(session, entry, each, index));
  } catch {
    // Nested so deeply that JavaScript itself gives up. It must not stop what comes after it, and is kept as it came.
    session.begun = true;
    return undefined;
  }
}

function notedMessage(session: OpenSession, entry: FrameEntry, view: FrameView, index: number): NotedMessage {
  if (view.kind === "request") return notedRequest(session, entry, view, index);
  if (view.kind === "response") return notedResponse(session, entry, view, index);
  const isRecorded = session.open.record === "all";
  if (isRecorded) session.begun = true;
  return { view, index, call: undefined, isRecorded };
}

function notedRequest(
  session: OpenSession,
  entry: FrameEntry,
  view: FrameView & { kind: "request" },
  index: number,
): NotedMessage {
  const params = isObject(view.message["params"]) ? view.message["params"] : {};
  const tool = view.method === "tools/call" && typeof params["name"] === "string" ? params["name"] : undefined;
  if (view.method === "initialize" && entry.direction === "up") noteClient(session, params);
  const call: OpenCall = { method: view.method, time: entry.time };
  if (tool !== undefined) call.tool = tool;
  if (entry.claimed) call.claimed = true;
  noteCall(session, callKey(entry.direction, view.key), call);
  const isRecorded = !entry.claimed && (spoken.has(view.method) || session.open.record === "all");
  if (isRecorded) session.begun = true;
  return { view, index, call, isRecorded };
}

function notedResponse(
  session: OpenSession,
  entry: FrameEntry,
  view: FrameView & { kind: "response" },
  index: number,
): NotedMessage {
  // A response goes against its request.
  const key = callKey(entry.direction === "down" ? "up" : "down", view.key);
  const call = session.calls.get(key) ?? lostCall(session, entry, view.message);
  session.calls.delete(key);
  if (call?.method === "initialize") noteAnswer(session, view.message["result"]);
  const isRecorded =
    call !== undefined && (spoken.has(call.method) || call.method === UNKNOWN_METHOD || session.open.record === "all");
  // With the answer to initialize all is known that a conversation begins with.
  if (isRecorded || call?.method === "initialize") session.begun = true;
  return { view, index, call, isRecorded };
}

/** What was asked is missing; an answer that is one of those that are recorded is recorded all the same. */
function lostCall(session: OpenSession, entry: FrameEntry, { error, result }: Json): OpenCall | undefined {
  const isSpoken = error !== undefined || (isObject(result) && ("content" in result || "contents" in result));
  return session.hasGap && isSpoken ? { method: UNKNOWN_METHOD, time: entry.time } : undefined;
}

function noteCall({ calls }: OpenSession, key: string, call: OpenCall): void {
  // Behind the others, also when its id was used before.
  calls.delete(key);
  calls.set(key, call);
  if (calls.size <= MAX_OPEN_CALLS) return;
  const [oldest] = calls.keys();
  if (oldest !== undefined) calls.delete(oldest);
}

function noteClient(session: OpenSession, params: Json): void {
  const info = isObject(params["clientInfo"]) ? params["clientInfo"] : {};
  if (typeof info["name"] === "string") session.client.name = info["name"];
  if (typeof info["version"] === "string") session.client.version = info["version"];
}

function noteAnswer(session: OpenSession, result: unknown): void {
  const version = isObject(result) ? result["protocolVersion"] : undefined;
  if (typeof version === "string") session.client.protocolVersion = version;
}

/** The ids of both sides are spaces of their own. */
function callKey(direction: string, key: string): string {
  return `${direction} ${key}`;
}
