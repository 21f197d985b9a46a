import { fileURLToPath } from "node:url";
import { isObject, viewFrame } from "../../wire/frame.ts";
import type { Json } from "../../wire/frame.ts";
import { abridged } from "./describe.ts";
import type { Entry, FrameEntry, GapEntry, HeldMessage, OpenCall, SessionClose } from "../spool/entry.ts";
import { fiedlerResults } from "./fiedler.ts";
import type { FiedlerRow } from "./fiedler.ts";
import { Ledger } from "../spool/ledger.ts";
import type { Noted, OpenSession } from "../spool/ledger.ts";
import { ORCHESTRATOR_TOOL, UNKNOWN_METHOD, unanswered } from "../spool/noted.ts";
import type { NotedMessage } from "../spool/noted.ts";
import { answerSaid, said, unansweredSaid } from "./speech.ts";
import type { Said } from "./speech.ts";
import { timedUuid } from "../../uuid.ts";

/** Limit on frames kept in metadata with `"record": "all"`. */
const MAX_KEPT_FRAME_CHARACTERS = 1024 * 1024;

/** A record made from an entry, ready to be stored. */
export type Delivery =
  | { kind: "begin"; conversation: string; sessionKey?: string; metadata: Json }
  | { kind: "message"; conversation: string; message: RecordedMessage }
  | { kind: "end"; conversation: string; metadata: Json }
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
    // A session in which nothing was called leaves no conversation.
    if (!session.begun) return [];
    const beginning = noted.begins ? begin(session, entry, noted.held) : [];
    if (entry.kind === "close") return [...beginning, ...end(session, entry)];
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
  const { as, call, view, index } = noted;
  if (as === undefined) return [];
  const heard = { direction: entry.direction, time: entry.time, view, call };
  if (as !== "answer") {
    const facts = as === "request" ? {} : { kind: as };
    return [saidMessage(session, entry, index, { said: said(heard, as, entry.frame), call, facts })];
  }
  if (!call) return [];
  const answer = answerSaid({ ...heard, call });
  const rows = call.tool === ORCHESTRATOR_TOOL ? results(session, entry, answer.content) : [];
  return call.claimed ? rows : [saidMessage(session, entry, index, { said: answer, call, facts: {} }), ...rows];
}

/** The record of something that was said. `facts` are metadata besides its own. */
function saidMessage(
  session: OpenSession,
  entry: FrameEntry,
  index: number,
  {
    said: { role, method, id, content, metadata },
    call,
    facts,
  }: { said: Said; call: OpenCall | undefined; facts: Json },
): Delivery {
  return message(session, entry, index, role, content, {
    ...frameFacts(session, entry, method, call?.tool, id),
    ...facts,
    ...(id === undefined || isUnusual(entry, index, call) ? tie(session, call) : {}),
    ...metadata,
    ...keptFrame(session, entry),
  });
}

/** Whether a message is neither a call itself nor an answer that its id ties to the call. */
function isUnusual({ sequence, exchange }: FrameEntry, index: number, call: OpenCall | undefined): boolean {
  const { place, task, round } = call ?? {};
  if (place?.[0] === sequence && place[1] === index) return false;
  return exchange !== undefined || task !== undefined || round !== undefined;
}

/** Ties a message to the call in whose course it was said: by the id of its message, its task, and its round of input. */
function tie(session: OpenSession, call: OpenCall | undefined): Json {
  const { place, task, round } = call ?? {};
  return {
    ...(place === undefined ? {} : { call: recordId(session, { sequence: place[0], time: place[2] }, `${place[1]}`) }),
    ...(task === undefined ? {} : { task_id: abridged(task) }),
    ...(round === undefined ? {} : { round }),
  };
}

/** The results of an orchestrator's answer, which are stored in their own table as well, a row for each model. */
function results(session: OpenSession, entry: FrameEntry, content: string): Delivery[] {
  return fiedlerResults(content).map((row, index) => ({
    kind: "result",
    conversation: session.open.session,
    result: { ...row, result_id: recordId(session, entry, `fiedler ${index}`), conversation_id: session.open.session },
  }));
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

/** Ends the conversation: calls that were never answered, and the end as its metadata. */
function end(session: OpenSession, entry: SessionClose): Delivery[] {
  const { time, reason } = entry;
  const silences = unanswered(session).map((call, index) => {
    const { role, method, content, metadata } = unansweredSaid(call, time, reason);
    return message(session, entry, `unanswered ${index}`, role, content, {
      source: "proxy",
      upstream: session.open.upstream,
      method,
      ...(call.tool === undefined ? {} : { tool: call.tool }),
      ...tie(session, call),
      ...metadata,
    });
  });
  const metadata = { ended_at: new Date(time).toISOString(), end_reason: reason };
  return [...silences, { kind: "end", conversation: session.open.session, metadata }];
}

/** Begins the conversation, with what was said before anything was called. */
function begin(
  session: OpenSession,
  entry: Exclude<Entry, { kind: "open" | "state" }>,
  held: HeldMessage[],
): Delivery[] {
  const { open, client } = session;
  const folder = folderOf(held);
  const metadata = {
    source: "proxy",
    upstream: open.upstream,
    transport: open.wire,
    started_at: new Date(open.time).toISOString(),
    ...(client.name === undefined ? {} : { client_name: client.name }),
    ...(client.version === undefined ? {} : { client_version: client.version }),
    ...(client.protocolVersion === undefined ? {} : { protocol_version: client.protocolVersion }),
    ...(folder === undefined ? {} : { cwd: folder }),
  };
  const key = open.sessionKey === undefined ? {} : { sessionKey: open.sessionKey };
  return [
    { kind: "begin", conversation: open.session, ...key, metadata },
    ...(open.wire === "unknown" ? [damagedBeginning(session, entry)] : []),
    ...held.flatMap((each) => heldDeliveries(session, each)),
  ];
}

/** Marks a session whose opening entry was damaged. */
function damagedBeginning(session: OpenSession, { time }: { time: number }): Delivery {
  const content = "The beginning of what was recorded of this session is damaged.";
  return message(session, { sequence: 0, time }, 0, "system", content, { source: "proxy", event: "gap" });
}

function heldDeliveries(session: OpenSession, held: HeldMessage): Delivery[] {
  const { as, index, call, sequence, direction, time, message: frame } = held;
  const entry: FrameEntry = { kind: "frame", session: session.open.session, sequence, direction, time, frame };
  return messageDeliveries(session, entry, { view: viewFrame(frame), index, call, as, isQuiet: true });
}

/** The folder that a client works in: the first root that it has named. */
function folderOf(held: HeldMessage[]): string | undefined {
  for (const { as, call, message: frame } of held) {
    if (as !== "answer" || call?.method !== "roots/list") continue;
    const { result } = JSON.parse(frame) as { result?: unknown };
    const roots: unknown[] = isObject(result) && Array.isArray(result["roots"]) ? result["roots"] : [];
    const folder = roots.flatMap((root) => (isObject(root) ? (pathOf(root["uri"]) ?? []) : []))[0];
    if (folder !== undefined) return folder;
  }
  return undefined;
}

function pathOf(uri: unknown): string | undefined {
  try {
    return typeof uri === "string" ? fileURLToPath(uri) : undefined;
  } catch {
    // Not a file, or one of another kind of system.
    return undefined;
  }
}

function message(
  session: OpenSession,
  entry: { sequence: number; time: number },
  part: number | string,
  role: RecordedMessage["role"],
  content: string,
  metadata: Json,
): Delivery {
  return {
    kind: "message",
    conversation: session.open.session,
    message: {
      message_id: recordId(session, entry, `${part}`),
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
    ...(id === undefined ? {} : { id: typeof id === "string" ? abridged(id) : id }),
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
