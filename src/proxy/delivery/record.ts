import { isObject } from "../../wire/frame.ts";
import type { FrameView, Json } from "../../wire/frame.ts";
import { describeRequest, describeResult } from "./describe.ts";
import type { Entry, FrameEntry, GapEntry, OpenCall, SessionClose } from "../spool/entry.ts";
import { fiedlerResults } from "./fiedler.ts";
import type { FiedlerRow } from "./fiedler.ts";
import { Ledger, UNKNOWN_METHOD } from "../spool/ledger.ts";
import type { Noted, NotedMessage, OpenSession } from "../spool/ledger.ts";
import { timedUuid } from "../../uuid.ts";

/** Limit on frames kept in metadata with `"record": "all"`. */
const MAX_KEPT_FRAME_CHARACTERS = 1024 * 1024;

/** A record made from an entry, ready to be stored. */
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

export interface RecordBuilderOptions {
  /** Whether entries before the first state may be missing from the store, so that its conversations must be begun again. */
  beginsAnew: boolean;
}

/**
 * Makes records from entries. It is deterministic: the same entries give the same records with the same ids, so delivering
 * them twice stores them once.
 */
export class RecordBuilder {
  readonly #ledger: Ledger;

  constructor(options: RecordBuilderOptions = { beginsAnew: false }) {
    this.#ledger = new Ledger(options);
  }

  /** The deliveries of one entry, in order. */
  take(entry: Entry): Delivery[] {
    const noted = this.#ledger.take(entry);
    if (!noted || entry.kind === "open" || entry.kind === "state") return [];
    const { session } = noted;
    const beginning = noted.begins ? begin(session) : [];
    if (entry.kind === "close") return [...beginning, closeMessage(session, entry)];
    if (entry.kind === "gap") return [...beginning, gapMessage(session, entry)];
    return [...beginning, ...frameDeliveries(noted, entry)];
  }

  /** Closes the sessions that a dead process left open. */
  abandon(): Delivery[] {
    return this.#ledger.sessions.flatMap((session) =>
      this.take({
        kind: "close",
        session: session.open.session,
        sequence: session.lastSequence + 1,
        time: session.lastTime,
        reason: "the proxy ended before the session did",
      }),
    );
  }
}

function frameDeliveries({ session, messages }: Noted, entry: FrameEntry): Delivery[] {
  try {
    if (messages) return messages.flatMap((each) => messageDeliveries(session, entry, each));
  } catch {
    // Nested too deeply to be written as JSON: kept as it came, below.
  }
  const metadata = frameFacts(session, entry, UNKNOWN_METHOD, undefined, undefined);
  return [message(session, entry, 0, "system", entry.frame, metadata)];
}

function messageDeliveries(session: OpenSession, entry: FrameEntry, noted: NotedMessage): Delivery[] {
  if (!noted.isRecorded) return [];
  const { view, index } = noted;
  if (view.kind === "request") return [requestMessage(session, entry, view, noted)];
  if (view.kind === "response") return responseDeliveries(session, entry, view, noted);
  return [otherMessage(session, entry, view, index)];
}

function requestMessage(
  session: OpenSession,
  entry: FrameEntry,
  view: FrameView & { kind: "request" },
  { index, call }: NotedMessage,
): Delivery {
  const params = isObject(view.message["params"]) ? view.message["params"] : {};
  const described = describeRequest(view.method, call?.tool, params);
  const metadata = {
    ...frameFacts(session, entry, view.method, call?.tool, view.id),
    ...described.metadata,
    ...keptFrame(session, entry),
  };
  const role = entry.direction === "up" ? "user" : "system";
  return message(session, entry, index, role, described.content, metadata);
}

function responseDeliveries(
  session: OpenSession,
  entry: FrameEntry,
  view: FrameView & { kind: "response" },
  { index, call }: NotedMessage,
): Delivery[] {
  if (!call) return [];
  const described = describeResult(view.message);
  if (call.claimed) return results(session, entry, call, described.content);
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
    message(session, entry, index, role, described.content, metadata),
    ...results(session, entry, call, described.content),
  ];
}

/** The results of an orchestrator's answer, which are stored in their own table as well, a row for each model. */
function results(session: OpenSession, entry: FrameEntry, call: OpenCall, content: string): Delivery[] {
  if (call.tool !== "fiedler_send") return [];
  return fiedlerResults(content).map((row, index) => ({
    kind: "result",
    conversation: session.open.session,
    result: { ...row, result_id: recordId(session, entry, `fiedler ${index}`), conversation_id: session.open.session },
  }));
}

/** The record of a notification, or of a frame that is not JSON-RPC; made only with `"record": "all"`. */
function otherMessage(session: OpenSession, entry: FrameEntry, view: FrameView, index: number): Delivery {
  const method = view.kind === "notification" ? view.method : view.kind;
  const params = view.kind === "notification" && isObject(view.message["params"]) ? view.message["params"] : {};
  const content =
    view.kind === "notification" ? describeRequest(method, undefined, params).content : entry.frame || "(empty frame)";
  const metadata = { ...frameFacts(session, entry, method, undefined, undefined), ...keptFrame(session, entry) };
  return message(session, entry, index, "system", content, metadata);
}

function gapMessage(session: OpenSession, entry: GapEntry): Delivery {
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

function closeMessage(session: OpenSession, entry: SessionClose): Delivery {
  return message(session, entry, 0, "system", `Session ended: ${entry.reason}.`, {
    source: "proxy",
    event: "session_end",
  });
}

/** Begins the conversation, with its first message. */
function begin(session: OpenSession): Delivery[] {
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
  session: OpenSession,
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

function frameFacts(
  session: OpenSession,
  entry: FrameEntry,
  method: string,
  tool: string | undefined,
  id: unknown,
): Json {
  return {
    source: "proxy",
    upstream: session.open.upstream,
    method,
    ...(tool === undefined ? {} : { tool }),
    ...(id === undefined ? {} : { id }),
    direction: entry.direction,
  };
}

function keptFrame(session: OpenSession, entry: FrameEntry): Json {
  return session.open.record === "all" && entry.frame.length <= MAX_KEPT_FRAME_CHARACTERS ? { frame: entry.frame } : {};
}

/** The id of a record: a UUIDv7 with the entry's time, and a hash in the other bits, so that an entry always gives the same id. */
function recordId(session: OpenSession, entry: { sequence: number; time: number }, part: string): string {
  return timedUuid(entry.time, `${session.open.session} ${entry.sequence} ${part}`);
}
