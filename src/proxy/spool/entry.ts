import type { Wire } from "../../wire/link.ts";
import type { Direction } from "../relay/tap.ts";
import type { RecordMode } from "../relay/upstreams.ts";

/** The first entry of a session. */
export interface SessionOpen {
  kind: "open";
  /** Also the id of the conversation into which the session is recorded. */
  session: string;
  /** Milliseconds since 1970, in every entry. */
  time: number;
  upstream: string;
  record: RecordMode;
  /** The client's wire; unknown when the opening entry was damaged. */
  wire: Wire | "unknown";
  /** The caller's own key, from `?session=`. */
  sessionKey?: string;
}

/** A frame as it came off a wire. `sequence` numbers a session's entries, so that repeated ones are recognised. */
export interface FrameEntry {
  kind: "frame";
  session: string;
  sequence: number;
  direction: Direction;
  time: number;
  frame: string;
  /** Set on a tool call that the client's own hooks record. */
  claimed?: true;
  /** Number of the HTTP request to which the frame belongs, where a session groups requests of several clients. */
  exchange?: number;
}

export interface SessionClose {
  kind: "close";
  session: string;
  sequence: number;
  time: number;
  reason: string;
}

/** Stands for frames that were relayed and could not be written. */
export interface GapEntry {
  kind: "gap";
  session: string;
  /** The sequence of the last missing frame; `time` is also that frame's. */
  sequence: number;
  time: number;
  fromTime: number;
  frames: number;
  bytes: number;
}

/** The sessions and unanswered calls that were open when a segment began. */
export interface StateEntry {
  kind: "state";
  sessions: SessionState[];
}

export interface SessionState extends OpenCallsState {
  open: SessionOpen;
  begun: boolean;
  client?: ClientFacts;
  lastSequence: number;
  lastTime: number;
  hasGap: boolean;
  introduced?: boolean;
  isServerKnown?: boolean;
  held?: HeldMessage[];
}

/** What of a session's requests is unfinished. */
export interface OpenCallsState {
  calls: [string, OpenCall][];
  /** Tasks by their ids. */
  tasks?: [string, OpenTask][];
  /** Calls that wait for their client's input. */
  waiting?: [string, OpenCall][];
}

/** The client's name and version, and the protocol revision of the session. */
export interface ClientFacts {
  name?: string;
  version?: string;
  protocolVersion?: string;
}

/** The facts of an unanswered request that the records of its answer and of its course need. */
export interface OpenCall {
  method: string;
  tool?: string;
  /** When it was first sent. */
  time: number;
  /** Its id as JSON; of a call that was continued, the newest one. */
  id?: string;
  /** Sequence, index and time of the message that first sent it. */
  place?: [number, number, number];
  claimed?: true;
  cancelled?: true;
  /** As JSON. */
  progressToken?: string;
  /** How many times it has asked for input. */
  round?: number;
  /** The task that it has become. */
  task?: string;
  /** Key of an open request with the same id. */
  older?: string;
}

/** A call that has become a task, with the status that was last said. */
export interface OpenTask {
  call: OpenCall;
  status: string;
  isAnswered?: true;
}

/** What a message is in its conversation. */
export type Speech =
  | "introduction"
  | "request"
  | "continuation"
  | "answer"
  | "input_request"
  | "task"
  | "cancellation"
  | "note";

/** A message from before anything was called. It is recorded only if something is. */
export interface HeldMessage {
  as: Speech;
  sequence: number;
  index: number;
  direction: Direction;
  time: number;
  message: string;
  call?: OpenCall;
}

export type Entry = SessionOpen | FrameEntry | SessionClose | GapEntry | StateEntry;

/** Before every entry: length and CRC-32, 32 bits each, big-endian. */
export const HEADER_BYTES = 8;
/** Every entry's payload begins with these bytes. */
export const ENTRY_BEGINNING = Buffer.from('{"kind":"');
const LINE_FEED = 0x0a;
/** Most bytes that UTF-8 takes for a UTF-16 code unit. */
const MOST_BYTES_PER_CHARACTER = 3;
/** The bytes of longer text are counted rather than estimated, to avoid reserving memory in vain. */
const UNCOUNTED_CHARACTERS = 64 * 1024;

/** Encodes an entry: length and checksum, a line of JSON, and then the frame as it came. */
export function encodeEntry(entry: Entry): Buffer {
  const buffer = new EntryBuffer();
  buffer.add(entry);
  return Buffer.from(buffer.bytes);
}

/** Memory that an emptied buffer keeps; more, taken for large frames, is released. */
const KEPT_BUFFER_BYTES = 1024 * 1024;

/** Encodes entries one after another into memory that is reused. */
export class EntryBuffer {
  #memory = Buffer.allocUnsafe(HEADER_BYTES);
  #length = 0;
  /** Number of entries in the buffer. */
  count = 0;

  /** Valid until the next entry is added. */
  get bytes(): Buffer {
    return this.#memory.subarray(0, this.#length);
  }

  add(entry: Entry): void {
    const line = headLine(entry);
    const text = entry.kind === "frame" ? `${line}\n` : line;
    const frame = entry.kind === "frame" ? entry.frame : "";
    const start = this.#length + HEADER_BYTES;
    this.#reserve(start + mostBytes(text) + mostBytes(frame));
    const memory = this.#memory;
    const frameStart = start + memory.write(text, start);
    const end = frame === "" ? frameStart : frameStart + memory.write(frame, frameStart);
    memory.writeUInt32BE(end - start, this.#length);
    memory.writeUInt32BE(Bun.hash.crc32(memory.subarray(start, end)), this.#length + 4);
    this.#length = end;
    this.count += 1;
  }

  clear(): void {
    this.#length = 0;
    this.count = 0;
    if (this.#memory.length > KEPT_BUFFER_BYTES) this.#memory = Buffer.allocUnsafe(KEPT_BUFFER_BYTES);
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#memory.length) return;
    const larger = Buffer.allocUnsafe(Math.max(bytes, 2 * this.#memory.length));
    this.#memory.copy(larger, 0, 0, this.#length);
    this.#memory = larger;
  }
}

function mostBytes(text: string): number {
  return text.length > UNCOUNTED_CHARACTERS ? Buffer.byteLength(text) : MOST_BYTES_PER_CHARACTER * text.length;
}

function headLine(entry: Entry): string {
  if (entry.kind !== "frame") {
    const { kind, ...rest } = entry;
    return JSON.stringify({ kind, ...rest });
  }
  // Built by hand because it delays every frame. Nothing in it needs escaping.
  const { session, sequence, direction, time, claimed, exchange } = entry;
  const rest = `${claimed ? ',"claimed":true' : ""}${exchange === undefined ? "" : `,"exchange":${exchange}`}}`;
  return `{"kind":"frame","session":"${session}","sequence":${sequence},"direction":"${direction}","time":${time}${rest}`;
}

/** Decodes the entry at an offset, with the offset of the next; undefined when it is incomplete or damaged. */
export function decodeEntry(bytes: Buffer, offset: number): { entry: Entry; next: number } | undefined {
  if (offset + HEADER_BYTES > bytes.length) return undefined;
  const next = offset + HEADER_BYTES + bytes.readUInt32BE(offset);
  if (next > bytes.length) return undefined;
  const payload = bytes.subarray(offset + HEADER_BYTES, next);
  // A zeroed block would pass for an empty entry, since the CRC-32 of nothing is zero.
  if (payload.length === 0 || Bun.hash.crc32(payload) !== bytes.readUInt32BE(offset + 4)) return undefined;
  const end = payload.indexOf(LINE_FEED);
  const head = parseHead(end === -1 ? payload : payload.subarray(0, end));
  if (!head) return undefined;
  return { entry: end === -1 ? head : { ...(head as FrameEntry), frame: payload.subarray(end + 1).toString() }, next };
}

function parseHead(line: Buffer): Entry | undefined {
  try {
    return JSON.parse(line.toString()) as Entry;
  } catch {
    return undefined;
  }
}

/** Size of the entry at an offset, from its header; undefined when the header is incomplete. */
export function entryBytes(bytes: Buffer, offset: number): number | undefined {
  return offset + HEADER_BYTES > bytes.length ? undefined : HEADER_BYTES + bytes.readUInt32BE(offset);
}
