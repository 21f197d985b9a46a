import { createHash } from "node:crypto";
import { isObject, viewFrame } from "../wire/frame.ts";
import type { FrameView, Json } from "../wire/frame.ts";
import { describeRequest, describeResult } from "./describe.ts";
import type {
  ClientFacts,
  Entry,
  FrameEntry,
  OpenCall,
  SessionClose,
  SessionOpen,
  SessionState,
  StateEntry,
  GapEntry,
} from "./entry.ts";
import { fiedlerResults } from "./fiedler.ts";
import type { FiedlerRow } from "./fiedler.ts";

/** Requests of one side that are remembered until they are answered; many never are. The oldest are forgotten. */
const MAX_OPEN_CALLS = 10_000;
/** What stands for a request that is missing. */
const UNKNOWN_METHOD = "unknown";
/** What stands for the upstream of a session whose opening is damaged. */
const UNKNOWN_UPSTREAM = "unknown";
/** With `"record": "all"` a frame itself is kept up to this size. */
const MAX_KEPT_FRAME_CHARACTERS = 1024 * 1024;

/** What the proxy has made of entries, ready to be stored. */
export type Delivery =
  | { kind: "begin"; conversation: string; sessionKey?: string; metadata: Json }
  | { kind: "message"; conversation: string; message: RecordedMessage }
  | { kind: "result"; conversation: string; result: FiedlerRow };

export interface RecordedMessage {
  message_id: string;
  role: "user" | "assistant" | "tool" | "system";
  content: string;
  created_at: string;
  metadata: Json;
}

/** Requests whose frames are recorded without `"record": "all"`: those in which somebody says or does something. */
const spoken = new Set(["tools/call", "prompts/get", "resources/read", "sampling/createMessage", "elicitation/create"]);

interface Session {
  open: SessionOpen;
  begun: boolean;
  client: ClientFacts;
  lastSequence: number;
  lastTime: number;
  /** Whether frames are missing: answers may come then whose questions were among them. */
  hasGap: boolean;
  calls: Map<string, OpenCall>;
}

export interface RecorderOptions {
  /** Whether what was before the first state may be missing from the store, so that conversations are begun once more. */
  beginsAnew: boolean;
}

/**
 * Makes records of entries. It is a pure function of the entries that it was given: the same entries make the same
 * records with the same ids, so that delivering them twice stores them once.
 */
export class Recorder {
  #beginsAnew: boolean;
  #sessions = new Map<string, Session>();

  constructor(options: RecorderOptions = { beginsAnew: false }) {
    this.#beginsAnew = options.beginsAnew;
  }

  /** The deliveries of one entry, in their order. */
  take(entry: Entry): Delivery[] {
    if (entry.kind === "state") return this.#restore(entry);
    if (entry.kind === "open") return this.#open(entry);
    const session = this.#sessions.get(entry.session) ?? this.#found(entry);
    // An entry that is there already, in a state or from an earlier reading.
    if (entry.sequence <= session.lastSequence) return [];
    session.lastSequence = entry.sequence;
    session.lastTime = entry.time;
    if (entry.kind === "close") return this.#close(session, entry);
    if (entry.kind === "gap") session.hasGap = true;
    if (entry.kind === "gap") return [...begin(session), gapMessage(session, entry)];
    return frameDeliveries(session, entry);
  }

  /** What must be known of the entries so far to understand those that follow. */
  state(): StateEntry {
    return {
      kind: "state",
      sessions: [...this.#sessions.values()].map((session) => ({ ...session, calls: [...session.calls] })),
    };
  }

  /** Ends the sessions that a process has left open which is no more. */
  abandon(): Delivery[] {
    return [...this.#sessions.values()].flatMap((session) =>
      this.take({
        kind: "close",
        session: session.open.session,
        sequence: session.lastSequence + 1,
        time: session.lastTime,
        reason: "the proxy ended before the session did",
      }),
    );
  }

  #open(open: SessionOpen): Delivery[] {
    if (!this.#sessions.has(open.session)) this.#sessions.set(open.session, newSession(open));
    return [];
  }

  /** A session whose opening is in a damaged piece of the spool: what is left of it is recorded all the same. */
  #found({ session: id, time }: FrameEntry | SessionClose | GapEntry): Session {
    const open = { kind: "open", session: id, time, upstream: UNKNOWN_UPSTREAM, record: "calls" } as const;
    const session = newSession({ ...open, wire: "unknown" });
    this.#sessions.set(id, session);
    return session;
  }

  /** A state says everything that is open, so that it also corrects what damage has hidden. */
  #restore(entry: StateEntry): Delivery[] {
    const sessions = entry.sessions.map((state) => sessionOf(state, this.#beginsAnew));
    this.#sessions = new Map(sessions.map((session) => [session.open.session, session]));
    this.#beginsAnew = false;
    return [];
  }

  #close(session: Session, entry: SessionClose): Delivery[] {
    this.#sessions.delete(entry.session);
    return [
      ...begin(session),
      message(session, entry, 0, "system", `Session ended: ${entry.reason}.`, {
        source: "proxy",
        event: "session_end",
      }),
    ];
  }
}

function newSession(open: SessionOpen): Session {
  const hasGap = open.wire === "unknown";
  return { open, begun: false, client: {}, lastSequence: 0, lastTime: open.time, hasGap, calls: new Map() };
}

function sessionOf(state: SessionState, beginsAnew: boolean): Session {
  return {
    ...state,
    begun: state.begun && !beginsAnew,
    client: state.client ?? {},
    calls: new Map(state.calls),
  };
}

function frameDeliveries(session: Session, entry: FrameEntry): Delivery[] {
  const view = viewFrame(entry.frame);
  const messages = view.kind === "batch" ? view.messages : [view];
  try {
    return messages.flatMap((each, index) => messageDeliveries(session, entry, each, index));
  } catch {
    // Nested so deeply that JavaScript itself gives up. It must not stop what comes after it, and is kept as it came.
    const metadata = frameFacts(session, entry, UNKNOWN_METHOD, undefined, undefined);
    return [...begin(session), message(session, entry, 0, "system", entry.frame, metadata)];
  }
}

function messageDeliveries(session: Session, entry: FrameEntry, view: FrameView, index: number): Delivery[] {
  if (view.kind === "request") return requestDeliveries(session, entry, view, index);
  if (view.kind === "response") return responseDeliveries(session, entry, view, index);
  return session.open.record === "all" ? [...begin(session), otherMessage(session, entry, view, index)] : [];
}

function requestDeliveries(
  session: Session,
  entry: FrameEntry,
  view: FrameView & { kind: "request" },
  index: number,
): Delivery[] {
  const params = isObject(view.message["params"]) ? view.message["params"] : {};
  const tool = view.method === "tools/call" && typeof params["name"] === "string" ? params["name"] : undefined;
  if (view.method === "initialize" && entry.direction === "up") noteClient(session, params);
  noteCall(session, callKey(entry.direction, view.id), {
    method: view.method,
    ...(tool === undefined ? {} : { tool }),
    time: entry.time,
    ...(entry.claimed ? { claimed: true } : {}),
  });
  if (entry.claimed || (!spoken.has(view.method) && session.open.record !== "all")) return [];
  const described = describeRequest(view.method, tool, params);
  const metadata = {
    ...frameFacts(session, entry, view.method, tool, view.id),
    ...described.metadata,
    ...keptFrame(session, entry),
  };
  const role = entry.direction === "up" ? "user" : "system";
  return [...begin(session), message(session, entry, index, role, described.content, metadata)];
}

function responseDeliveries(
  session: Session,
  entry: FrameEntry,
  view: FrameView & { kind: "response" },
  index: number,
): Delivery[] {
  // A response goes against its request.
  const key = callKey(entry.direction === "down" ? "up" : "down", view.id);
  const call = session.calls.get(key) ?? lostCall(session, entry, view.message);
  session.calls.delete(key);
  if (call?.method === "initialize") noteAnswer(session, view.message["result"]);
  // With the answer to initialize all is known that a conversation begins with.
  const beginning = call?.method === "initialize" ? begin(session) : [];
  if (!call || (!spoken.has(call.method) && call.method !== UNKNOWN_METHOD && session.open.record !== "all"))
    return beginning;
  const described = describeResult(view.message);
  if (call.claimed) return [...begin(session), ...results(session, entry, call, described.content)];
  const metadata = {
    ...frameFacts(session, entry, call.method, call.tool, view.id),
    outcome: described.outcome,
    duration_ms: Math.max(0, entry.time - call.time),
    ...described.metadata,
    ...keptFrame(session, entry),
  };
  const answered = entry.direction === "down" ? "assistant" : "user";
  const role = described.outcome === "success" ? answered : "tool";
  return [
    ...begin(session),
    message(session, entry, index, role, described.content, metadata),
    ...results(session, entry, call, described.content),
  ];
}

/** What was asked is missing; an answer that is one of those that are recorded is recorded all the same. */
function lostCall(session: Session, entry: FrameEntry, { error, result }: Json): OpenCall | undefined {
  const isSpoken = error !== undefined || (isObject(result) && ("content" in result || "contents" in result));
  return session.hasGap && isSpoken ? { method: UNKNOWN_METHOD, time: entry.time } : undefined;
}

/** What an orchestration has answered goes into its own table too, a row a model. */
function results(session: Session, entry: FrameEntry, call: OpenCall, content: string): Delivery[] {
  if (call.tool !== "fiedler_send") return [];
  return fiedlerResults(content).map((row, index) => ({
    kind: "result",
    conversation: session.open.session,
    result: { ...row, result_id: recordId(session, entry, `fiedler ${index}`), conversation_id: session.open.session },
  }));
}

/** Frames that are neither a request nor an answer, or not JSON-RPC at all: kept only when all is. */
function otherMessage(session: Session, entry: FrameEntry, view: FrameView, index: number): Delivery {
  const method = view.kind === "notification" ? view.method : view.kind;
  const params = view.kind === "notification" && isObject(view.message["params"]) ? view.message["params"] : {};
  const content =
    view.kind === "notification" ? describeRequest(method, undefined, params).content : entry.frame || "(empty frame)";
  const metadata = { ...frameFacts(session, entry, method, undefined, undefined), ...keptFrame(session, entry) };
  return message(session, entry, index, "system", content, metadata);
}

function gapMessage(session: Session, entry: GapEntry): Delivery {
  const { frames, bytes } = entry;
  const [from, to] = [entry.fromTime, entry.time].map((time) => new Date(time).toISOString());
  return message(session, entry, 0, "system", `${frames} frames (${bytes} bytes) were relayed and not recorded here.`, {
    source: "proxy",
    event: "gap",
    from,
    to,
    frames,
    bytes,
  });
}

/** The conversation and its first message, once. */
function begin(session: Session): Delivery[] {
  if (session.begun) return [];
  session.begun = true;
  const { open, client } = session;
  const metadata = {
    source: "proxy",
    upstream: open.upstream,
    transport: open.wire,
    ...(client.name === undefined ? {} : { client_name: client.name }),
    ...(client.version === undefined ? {} : { client_version: client.version }),
    ...(client.protocolVersion === undefined ? {} : { protocol_version: client.protocolVersion }),
  };
  const who = [client.name ?? "a client", client.version].filter(Boolean).join(" ");
  const revision = client.protocolVersion === undefined ? "" : `, MCP ${client.protocolVersion}`;
  return [
    {
      kind: "begin",
      conversation: open.session,
      ...(open.sessionKey === undefined ? {} : { sessionKey: open.sessionKey }),
      metadata,
    },
    message(
      session,
      { sequence: 0, time: open.time },
      0,
      "system",
      open.wire === "unknown"
        ? "The beginning of what was recorded of this session is damaged."
        : `Session of ${who} with ${open.upstream} over ${open.wire}${revision}.`,
      {
        source: "proxy",
        event: "session_start",
      },
    ),
  ];
}

function message(
  session: Session,
  entry: { sequence: number; time: number },
  index: number,
  role: RecordedMessage["role"],
  content: string,
  metadata: Json,
): Delivery {
  return {
    kind: "message",
    conversation: session.open.session,
    message: {
      message_id: recordId(session, entry, `${index}`),
      role,
      content,
      created_at: new Date(entry.time).toISOString(),
      metadata,
    },
  };
}

function frameFacts(session: Session, entry: FrameEntry, method: string, tool: string | undefined, id: unknown): Json {
  return {
    source: "proxy",
    upstream: session.open.upstream,
    method,
    ...(tool === undefined ? {} : { tool }),
    ...(id === undefined ? {} : { id }),
    direction: entry.direction,
  };
}

function keptFrame(session: Session, entry: FrameEntry): Json {
  return session.open.record === "all" && entry.frame.length <= MAX_KEPT_FRAME_CHARACTERS ? { frame: entry.frame } : {};
}

function noteCall(session: Session, key: string, call: OpenCall): void {
  const { calls } = session;
  // Behind the others, also when its id was used before.
  calls.delete(key);
  calls.set(key, call);
  const [oldest] = calls.keys();
  if (calls.size > MAX_OPEN_CALLS && oldest !== undefined) calls.delete(oldest);
}

function noteClient(session: Session, params: Json): void {
  const info = isObject(params["clientInfo"]) ? params["clientInfo"] : {};
  if (typeof info["name"] === "string") session.client.name = info["name"];
  if (typeof info["version"] === "string") session.client.version = info["version"];
}

function noteAnswer(session: Session, result: unknown): void {
  const version = isObject(result) ? result["protocolVersion"] : undefined;
  if (typeof version === "string") session.client.protocolVersion = version;
}

/** The ids of both sides are spaces of their own, and 1 is not "1". */
function callKey(direction: string, id: unknown): string {
  return `${direction} ${JSON.stringify(id)}`;
}

/**
 * The id of a record: a UUIDv7 whose time is the entry's and whose other bits come from a hash, so that the same entry
 * always has the same.
 */
function recordId(session: Session, entry: { sequence: number; time: number }, part: string): string {
  const hash = createHash("sha256").update(`${session.open.session} ${entry.sequence} ${part}`).digest();
  const bytes = Buffer.concat([Buffer.alloc(6), hash.subarray(0, 10)]);
  bytes.writeUIntBE(entry.time, 0, 6);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
