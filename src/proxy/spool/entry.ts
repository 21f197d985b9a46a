import type { Wire } from "../../wire/link.ts";
import type { Direction } from "../relay/tap.ts";
import type { RecordMode } from "../relay/upstreams.ts";

/** What begins a session's entries. */
export interface SessionOpen {
  kind: "open";
  /** Also the id of the conversation that the session becomes. */
  session: string;
  /** Milliseconds since 1970, as in every entry. */
  time: number;
  upstream: string;
  record: RecordMode;
  /** The client's wire, unless that is not known any more. */
  wire: Wire | "unknown";
  /** The caller's own key, from `?session=`. */
  sessionKey?: string;
}

/** A frame as it came off a wire. `sequence` counts a session's entries; a frame is the same one by it wherever it is. */
export interface FrameEntry {
  kind: "frame";
  session: string;
  sequence: number;
  direction: Direction;
  time: number;
  frame: string;
  /** A tool call that the client's own hooks record. */
  claimed?: true;
}

export interface SessionClose {
  kind: "close";
  session: string;
  sequence: number;
  time: number;
  reason: string;
}

/** Frames that could not be written, for whoever later reads what is missing. */
export interface GapEntry {
  kind: "gap";
  session: string;
  /** That of the last frame that is missing, as is the time. */
  sequence: number;
  time: number;
  fromTime: number;
  frames: number;
  bytes: number;
}

/** What was open when a segment began: sessions, and calls without an answer. */
export interface StateEntry {
  kind: "state";
  sessions: SessionState[];
}

export interface SessionState {
  open: SessionOpen;
  begun: boolean;
  client?: ClientFacts;
  lastSequence: number;
  lastTime: number;
  hasGap: boolean;
  calls: [string, OpenCall][];
}

/** What a client says of itself when it initializes. */
export interface ClientFacts {
  name?: string;
  version?: string;
  protocolVersion?: string;
}

/** A request without an answer, as far as the record of its answer needs it. */
export interface OpenCall {
  method: string;
  tool?: string;
  time: number;
  claimed?: true;
}

export type Entry = SessionOpen | FrameEntry | SessionClose | GapEntry | StateEntry;

/** Length and checksum, 32 bits each, big-endian, before every entry. */
export const HEADER_BYTES = 8;
/** What every entry's payload begins with. */
export const ENTRY_BEGINNING = Buffer.from('{"kind":"');
const LINE_FEED = 0x0a;
/** UTF-8 takes at most so many bytes for a UTF-16 code unit. */
const MOST_BYTES_PER_CHARACTER = 3;
/** Of longer text the bytes are counted, so that no memory is taken for nothing. */
const UNCOUNTED_CHARACTERS = 64 * 1024;

/** An entry as bytes: its checksummed length, a line of JSON, and behind it the frame as it is. */
export function encodeEntry(entry: Entry): Buffer {
  const buffer = new EntryBuffer();
  buffer.add(entry);
  return Buffer.from(buffer.bytes);
}

/** What a buffer keeps for the next entries; one that has grown for large frames is given back. */
const KEPT_BUFFER_BYTES = 1024 * 1024;

/** Entries on their way to the disk, one behind the other, in memory that is used again and again. */
export class EntryBuffer {
  #memory = Buffer.allocUnsafe(HEADER_BYTES);
  #length = 0;
  /** How many there are. */
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
  // Written out, as it stands in the way of every frame; nothing in it needs to be escaped.
  const { session, sequence, direction, time, claimed } = entry;
  const rest = claimed ? ',"claimed":true}' : "}";
  return `{"kind":"frame","session":"${session}","sequence":${sequence},"direction":"${direction}","time":${time}${rest}`;
}

/** The entry at an offset and where the next begins; undefined when there is none whole: the rest of it is to come, or torn. */
export function decodeEntry(bytes: Buffer, offset: number): { entry: Entry; next: number } | undefined {
  if (offset + HEADER_BYTES > bytes.length) return undefined;
  const next = offset + HEADER_BYTES + bytes.readUInt32BE(offset);
  if (next > bytes.length) return undefined;
  const payload = bytes.subarray(offset + HEADER_BYTES, next);
  // The checksum of nothing is zero, as is everything where a disk has lost a piece.
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

/** How many bytes the entry at an offset takes, as far as its header is there. */
export function entryBytes(bytes: Buffer, offset: number): number | undefined {
  return offset + HEADER_BYTES > bytes.length ? undefined : HEADER_BYTES + bytes.readUInt32BE(offset);
}
