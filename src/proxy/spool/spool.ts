import { closeSync, fdatasync, fsyncSync, openSync } from "node:fs";
import type { Log } from "../../log.ts";
import type { FrameView } from "../../wire/frame.ts";
import { EntryBuffer } from "./entry.ts";
import type { FrameEntry, GapEntry, SessionClose, SessionOpen } from "./entry.ts";
import { Journal } from "./journal.ts";
import { Ledger } from "./ledger.ts";
import type { Segment } from "./segment.ts";

/** Size at which the next segment begins, so that disk space is freed as delivery proceeds. */
const SEGMENT_BYTES = 8 * 1024 * 1024;
/** Interval between attempts to write again while no frame arrives. */
const RETRY_MS = 1000;
/** Limit on sessions whose losses are marked with a gap; those of further sessions are only counted. */
const MAX_SESSIONS_WITH_LOSSES = 10_000;
/** Interval between scans of the folder for other processes' bytes. */
const FOLDER_CHECK_MS = 10_000;

export interface SpoolLimits {
  /** Limit on undelivered bytes in the folder. */
  bytes: number;
  /** Limit on the age of the oldest undelivered entry. */
  ageMs: number;
}

export interface SpoolOptions {
  folder: string;
  limits: SpoolLimits;
  /** Whether a frame is synced to disk before it goes on, to survive a power cut. */
  sync: boolean;
  log: Log;
  /** Called after entries were written. */
  onAppend: () => void;
  /** Undelivered bytes of this process's journal, and the time of the oldest undelivered entry. */
  waiting: () => { bytes: number; oldestTime: number | undefined };
}

/** An entry to write, and the callback to call then. */
export interface Appended {
  /** The opening entry of the session. */
  open: SessionOpen;
  entry: FrameEntry | SessionClose;
  /** The view of the frame, if it was looked at already. */
  view?: FrameView;
  /** Lets the frame go on. */
  pass: () => void;
}

/** What a session lost since its last written entry. */
interface Loss {
  open: SessionOpen;
  gap: GapEntry | undefined;
  close: SessionClose | undefined;
}

/**
 * The recorder's durable queue. All entries of one turn of the event loop are appended with one write. Their frames go on
 * once it returns: the operating system has them then, so they survive the end of this process. If writing fails (the disk
 * is full, a limit is reached), the frames go on anyway; the loss is counted, and one gap per session marks it as soon as
 * writing works again. Queued entries are never dropped to make room.
 */
export class Spool {
  readonly #options: SpoolOptions;
  #journal: Journal | undefined;
  #pending: Appended[] = [];
  /** What is open at the end of the journal: the state with which the next segment begins. */
  readonly #ledger = new Ledger();
  readonly #buffer = new EntryBuffer();
  readonly #losses = new Map<string, Loss>();
  #retry: ReturnType<typeof setInterval> | undefined;
  /** The segment that is being synced. */
  #syncing: Segment | undefined;
  #isClosed = false;
  /** Size of the current segment at which the next one is begun, or tried again. */
  #rotateAtBytes = SEGMENT_BYTES;
  #othersBytes = 0;
  #othersCheckedMs = -Infinity;
  /** Why nothing is being recorded; undefined while recording works. */
  failure: string | undefined;
  /** Frames that were relayed without being recorded, and their bytes. */
  lostFrames = 0;
  lostBytes = 0;
  /** Entries written. */
  entries = 0;

  constructor(options: SpoolOptions) {
    this.#options = options;
  }

  /** This process's journal, once something was written. */
  get journal(): Journal | undefined {
    return this.#journal;
  }

  /** Takes an entry. `pass` is called when its frame may go on, in the order of the entries. */
  append(appended: Appended): void {
    if (this.#isClosed) return appended.pass();
    this.#pending.push(appended);
    if (this.#pending.length === 1 && !this.#syncing) setImmediate(() => this.#flush());
  }

  /** Writes the pending entries and stops recording: later frames pass unrecorded. */
  close(): void {
    clearInterval(this.#retry);
    this.#syncing = undefined;
    // The last segment may be in the middle of a sync.
    this.#rotateAtBytes = Infinity;
    this.#flush(false);
    if (this.#losses.size > 0) this.#write([]);
    this.#isClosed = true;
    if (this.#losses.size > 0)
      this.#options.log.error("frames were relayed without being recorded, and the gap could not be marked", {
        sessions: this.#losses.size,
        frames: this.lostFrames,
      });
  }

  #flush(sync = this.#options.sync): void {
    if (this.#syncing) return;
    const pending = this.#pending;
    if (pending.length === 0) return;
    this.#pending = [];
    const isWritten = this.#write(pending);
    if (isWritten && sync) return this.#passSynced(pending);
    this.#pass(pending);
    if (isWritten) this.#written(pending);
  }

  /** Lets the frames go on. One whose session fails on it holds up no other session's. */
  #pass(pending: Appended[]): void {
    for (const { entry, pass } of pending) {
      try {
        pass();
      } catch (error) {
        this.#options.log.error("a session failed on a frame", { session: entry.session, error });
      }
    }
  }

  /** Runs after the frames have gone on, so that it delays none of them. */
  #written(pending: Appended[]): void {
    for (const { entry, view } of pending) this.#ledger.take(entry, view);
    this.#options.onAppend();
  }

  /** Syncs, then passes. Entries that arrive during the sync go together in the next write. */
  #passSynced(pending: Appended[]): void {
    const segment = this.#journal?.current;
    if (!segment) return;
    this.#syncing = segment;
    fdatasync(segment.descriptor, (error) => {
      if (error) this.#options.log.error("fdatasync failed; entries may not survive a power cut", { error });
      this.#syncing = undefined;
      this.#pass(pending);
      this.#written(pending);
      this.#flush();
    });
  }

  /** Writes entries, preceded by the openings and gaps that they need. All or nothing. */
  #write(pending: Appended[]): boolean {
    try {
      this.#encode(pending);
      const { bytes } = this.#buffer;
      this.#refuseBeyondLimits(bytes.length);
      this.#append(bytes);
      this.#wrote(pending);
      return true;
    } catch (error) {
      this.#lost(pending, error as Error);
      return false;
    } finally {
      this.#buffer.clear();
    }
  }

  /** Appends to the segment. When that fails, as on a full disk, what is kept of delivered entries makes room. */
  #append(bytes: Uint8Array): void {
    try {
      this.#segment().append(bytes);
    } catch (error) {
      if (!this.#journal?.dropKept()) throw error;
      this.#segment().append(bytes);
    }
  }

  /** The segment to write to: a new one when the current is full. */
  #segment(): Segment {
    this.#journal ??= Journal.create(this.#options.folder);
    const { current } = this.#journal;
    if (!current) return this.#begin(this.#journal);
    if (current.bytes < this.#rotateAtBytes) return current;
    try {
      const next = this.#begin(this.#journal);
      current.close();
      this.#rotateAtBytes = SEGMENT_BYTES;
      return next;
    } catch (error) {
      this.#options.log.warn("cannot begin a new spool segment; appending to the current one", { error });
      this.#rotateAtBytes = current.bytes + SEGMENT_BYTES;
      return current;
    }
  }

  /** Begins a segment with the state of open sessions and calls, so that it can be delivered without the ones before it. */
  #begin(journal: Journal): Segment {
    const segment = journal.begin(this.#ledger.state());
    this.entries += 1;
    if (this.#options.sync) syncFolder(this.#options.folder);
    return segment;
  }

  #encode(pending: Appended[]): void {
    const buffer = this.#buffer;
    for (const { open, gap, close } of this.#losses.values()) {
      if (!this.#ledger.has(open.session)) buffer.add(open);
      if (gap) buffer.add(gap);
      if (close) buffer.add(close);
    }
    const opening = new Set<string>();
    for (const { open, entry } of pending) {
      const { session } = open;
      const isKnown = this.#ledger.has(session) || this.#losses.has(session) || opening.has(session);
      if (!isKnown) {
        buffer.add(open);
        opening.add(session);
      }
      buffer.add(entry);
    }
  }

  #wrote(pending: Appended[]): void {
    const { log } = this.#options;
    this.entries += this.#buffer.count;
    for (const { open, gap, close } of this.#losses.values())
      for (const entry of [open, gap, close]) if (entry) this.#ledger.take(entry);
    for (const { open } of pending) this.#ledger.take(open);
    if (this.failure !== undefined) log.info("recording resumed", { lost: this.lostFrames });
    this.failure = undefined;
    this.#losses.clear();
    clearInterval(this.#retry);
    this.#retry = undefined;
  }

  #lost(pending: Appended[], error: Error): void {
    if (this.failure === undefined) this.#options.log.error("frames cannot be recorded; relaying goes on", { error });
    this.failure = error.message;
    for (const { open, entry } of pending) {
      const loss = this.#lossOf(open);
      if (entry.kind === "close") {
        if (loss) loss.close = entry;
        continue;
      }
      const bytes = Buffer.byteLength(entry.frame);
      this.lostFrames += 1;
      this.lostBytes += bytes;
      if (loss) loss.gap = widened(loss.gap, entry, bytes);
    }
    this.#retry ??= setInterval(() => {
      if (this.#losses.size > 0 && this.#pending.length === 0 && this.#write([])) this.#options.onAppend();
    }, RETRY_MS);
  }

  #lossOf(open: SessionOpen): Loss | undefined {
    const known = this.#losses.get(open.session);
    if (known || this.#losses.size >= MAX_SESSIONS_WITH_LOSSES) return known;
    const loss: Loss = { open, gap: undefined, close: undefined };
    this.#losses.set(open.session, loss);
    return loss;
  }

  /** Throws when a limit is reached. Recorded entries are kept in favour of new ones. */
  #refuseBeyondLimits(more: number): void {
    const { folder, limits, waiting } = this.#options;
    const { bytes, oldestTime } = waiting();
    if (performance.now() - this.#othersCheckedMs > FOLDER_CHECK_MS) {
      this.#othersCheckedMs = performance.now();
      this.#othersBytes = Journal.waitingBytes(folder, this.#journal?.owner);
    }
    if (bytes + this.#othersBytes + more > limits.bytes)
      throw new Error(`the spool has reached its size limit (DEWEY_SPOOL_MAX_MB)`);
    if (oldestTime !== undefined && Date.now() - oldestTime > limits.ageMs)
      throw new Error(`the oldest entry in the spool has reached the age limit (DEWEY_SPOOL_MAX_DAYS)`);
  }
}

/** Syncs a folder: a new file survives a power cut only once its folder is synced. */
function syncFolder(folder: string): void {
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Adds a frame to a gap. */
function widened(gap: GapEntry | undefined, entry: FrameEntry, bytes: number): GapEntry {
  const { session, sequence, time } = entry;
  return {
    kind: "gap",
    session,
    sequence,
    time,
    fromTime: gap?.fromTime ?? time,
    frames: (gap?.frames ?? 0) + 1,
    bytes: (gap?.bytes ?? 0) + bytes,
  };
}
