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

/** Limit on unanswered requests of a session; beyond it the oldest are forgotten. Many requests are never answered. */
const MAX_OPEN_CALLS = 10_000;
/** The method of an answer whose request is missing. */
export const UNKNOWN_METHOD = "unknown";
/** The upstream of a session whose opening entry is damaged. */
const UNKNOWN_UPSTREAM = "unknown";
/** Requests recorded in every mode but "none": those in which something is said or done. */
const spoken = new Set(["tools/call", "prompts/get", "resources/read", "sampling/createMessage", "elicitation/create"]);

export interface OpenSession {
  open: SessionOpen;
  begun: boolean;
  client: ClientFacts;
  lastSequence: number;
  lastTime: number;
  /** Whether frames are missing. An answer may then arrive whose request was among them. */
  hasGap: boolean;
  calls: Map<string, OpenCall>;
}

/** The meaning of an entry in its session. */
export interface Noted {
  session: OpenSession;
  /** Whether the conversation begins with this entry. */
  begins: boolean;
  /** The messages of a frame; undefined when it is nested too deeply to look through. */
  messages: NotedMessage[] | undefined;
}

export interface NotedMessage {
  view: FrameView;
  /** Index in a batch, else 0. */
  index: number;
  /** The request that this message is or answers, if known. */
  call: OpenCall | undefined;
  isRecorded: boolean;
}

/**
 * Tracks what is open in a journal: sessions and unanswered calls. Writer and reader feed it the same entries, so both have
 * the same state at any position.
 */
export class Ledger {
  /** Whether the next state begins its conversations again, since earlier entries may be missing from the store. */
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

  /** Takes an entry. Undefined for openings, states and entries taken before. `view` is the frame's view, if known. */
  take(entry: Entry, view?: FrameView): Noted | undefined {
    if (entry.kind === "state") return this.#restore(entry);
    if (entry.kind === "open") return this.#open(entry);
    const session = this.#sessions.get(entry.session) ?? this.#found(entry);
    // Known already, from a state or an earlier reading.
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

  /** Everything about the entries so far that is needed to understand later ones. */
  state(): StateEntry {
    return { kind: "state", sessions: this.sessions.map((session) => ({ ...session, calls: [...session.calls] })) };
  }

  #open(open: SessionOpen): undefined {
    if (!this.#sessions.has(open.session)) this.#sessions.set(open.session, newSession(open));
  }

  /** A session whose opening entry was damaged: the rest of it is still recorded. */
  #found({ session: id, time }: FrameEntry | SessionClose | GapEntry): OpenSession {
    const open = { kind: "open", session: id, time, upstream: UNKNOWN_UPSTREAM, record: "calls" } as const;
    const session = newSession({ ...open, wire: "unknown" });
    this.#sessions.set(id, session);
    return session;
  }

  /** Replaces everything by a state, which also corrects what damage has hidden. */
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
    // Nested too deeply to look through: kept as it came, so that it does not block later entries.
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
  // A response travels in the opposite direction of its request.
  const key = callKey(entry.direction === "down" ? "up" : "down", view.key);
  const call = session.calls.get(key) ?? lostCall(session, entry, view.message);
  session.calls.delete(key);
  if (call?.method === "initialize") noteAnswer(session, view.message["result"]);
  const isRecorded =
    call !== undefined && (spoken.has(call.method) || call.method === UNKNOWN_METHOD || session.open.record === "all");
  // The answer to initialize completes the facts with which a conversation begins.
  if (isRecorded || call?.method === "initialize") session.begun = true;
  return { view, index, call, isRecorded };
}

/** Stands in for a missing request if the answer looks like one that would be recorded. */
function lostCall(session: OpenSession, entry: FrameEntry, { error, result }: Json): OpenCall | undefined {
  const isSpoken = error !== undefined || (isObject(result) && ("content" in result || "contents" in result));
  return session.hasGap && isSpoken ? { method: UNKNOWN_METHOD, time: entry.time } : undefined;
}

function noteCall({ calls }: OpenSession, key: string, call: OpenCall): void {
  // Deleted first, so that a reused id moves to the end.
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

/** The two sides number their requests independently. */
function callKey(direction: string, key: string): string {
  return `${direction} ${key}`;
}
