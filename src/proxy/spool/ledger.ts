import { isDeeperThan, viewFrame } from "../../wire/frame.ts";
import type { FrameView } from "../../wire/frame.ts";
import type {
  ClientFacts,
  Entry,
  FrameEntry,
  GapEntry,
  HeldMessage,
  SessionClose,
  SessionOpen,
  SessionState,
  Speech,
  StateEntry,
} from "./entry.ts";
import { noted, whole } from "./noted.ts";
import type { NotedMessage } from "./noted.ts";
import { OpenCalls } from "./open-calls.ts";

/** The upstream of a session whose opening entry is damaged. */
const UNKNOWN_UPSTREAM = "unknown";
/** Limits on what is held of a session in which nothing was called yet. */
const MAX_HELD_MESSAGES = 100;
const MAX_HELD_CHARACTERS = 256 * 1024;
/** Messages nested deeper are not held. */
const MAX_HELD_LEVELS = 64;

export interface OpenSession {
  open: SessionOpen;
  /** Whether something was called, so that there is a conversation. */
  begun: boolean;
  client: ClientFacts;
  lastSequence: number;
  lastTime: number;
  /** Whether requests are missing, lost or forgotten. An answer may then arrive whose request was among them. */
  hasGap: boolean;
  /** Whether the client has introduced itself: then no earlier frames were relayed by another process. */
  introduced: boolean;
  /** Whether the server has introduced itself. */
  isServerKnown: boolean;
  /** Messages from before anything was called. */
  held: HeldMessage[];
  calls: OpenCalls;
}

/** The meaning of an entry in its session. */
export interface Noted {
  session: OpenSession;
  /** Whether the conversation begins with this entry. */
  begins: boolean;
  /** What was said before it began. */
  held: HeldMessage[];
  /** The messages of a frame; undefined when it is nested too deeply to look through. */
  messages: NotedMessage[] | undefined;
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
    if (entry.kind === "gap") session.hasGap = session.begun = true;
    const begins = session.begun && !wasBegun;
    return { session, begins, held: begins ? session.held.splice(0) : [], messages };
  }

  /** Everything about the entries so far that is needed to understand later ones. */
  state(): StateEntry {
    return { kind: "state", sessions: this.sessions.map(stateOf) };
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
  return {
    open,
    begun: false,
    client: {},
    lastSequence: 0,
    lastTime: open.time,
    hasGap,
    introduced: false,
    isServerKnown: false,
    held: [],
    calls: new OpenCalls(),
  };
}

function stateOf({ calls, held, ...session }: OpenSession): SessionState {
  return { ...session, ...(held.length > 0 ? { held: [...held] } : {}), ...calls.state() };
}

function sessionOf(state: SessionState, beginsAnew: boolean): OpenSession {
  const { open, begun, client = {}, lastSequence, lastTime, hasGap, introduced = true, held = [] } = state;
  const { isServerKnown = true } = state;
  return {
    open,
    begun: begun && !beginsAnew,
    client,
    lastSequence,
    lastTime,
    hasGap,
    introduced,
    isServerKnown,
    held: [...held],
    calls: new OpenCalls(state),
  };
}

function notedMessages(session: OpenSession, entry: FrameEntry, view: FrameView): NotedMessage[] | undefined {
  try {
    const views = view.kind === "batch" ? view.messages : [view];
    return views.map((each, index) => kept(session, entry, noted(session, entry, each, index)));
  } catch {
    // Nested too deeply to look through: kept as it came, so that it does not block later entries.
    session.begun = true;
    return undefined;
  }
}

/** Begins the conversation with a message that says something, and holds those before it. */
function kept(session: OpenSession, entry: FrameEntry, message: NotedMessage): NotedMessage {
  if (message.as === undefined || session.begun) return message;
  if (!message.isQuiet || session.open.record === "all") {
    session.begun = true;
    return message;
  }
  hold(session, entry, { ...message, as: message.as });
  return { ...message, as: undefined };
}

function hold({ held }: OpenSession, entry: FrameEntry, { as, index, call }: NotedMessage & { as: Speech }): void {
  const { message: given } = whole(entry, index);
  if (isDeeperThan(given, MAX_HELD_LEVELS)) return;
  const message = JSON.stringify(given);
  const characters = held.reduce((sum, each) => sum + each.message.length, message.length);
  if (held.length >= MAX_HELD_MESSAGES || characters > MAX_HELD_CHARACTERS) return;
  const { sequence, direction, time } = entry;
  held.push({ as, sequence, index, direction, time, message, ...(call ? { call } : {}) });
}
