import { closeSync, fdatasync, fsyncSync, openSync } from "node:fs";
import type { Log } from "../../log.ts";
import type { FrameView } from "../../wire/frame.ts";
import { EntryBuffer } from "./entry.ts";
import type { FrameEntry, GapEntry, SessionClose, SessionOpen } from "./entry.ts";
import { Journal } from "./journal.ts";
import { Ledger } from "./ledger.ts";
import type { Segment } from "./segment.ts";

/** A segment that has grown to this is followed by another, so that the disk is freed as delivery goes on. */
const SEGMENT_BYTES = 8 * 1024 * 1024;
/** How often it is tried whether what could not be written can be now, when no frame comes that would try it. */
const RETRY_MS = 1000;
/** Sessions whose losses are remembered one by one; those of more are counted only. */
const MAX_SESSIONS_WITH_LOSSES = 10_000;
/** How often the folder is looked at for what other processes have in it. */
const FOLDER_CHECK_MS = 10_000;

export interface SpoolLimits {
  /** Bytes in the folder that wait for delivery. */
  bytes: number;
  /** Age of the oldest entry that waits. */
  ageMs: number;
}

export interface SpoolOptions {
  folder: string;
  limits: SpoolLimits;
  /** Whether the disk, and not the operating system alone, has a frame before it goes on: it outlives a power cut then. */
  sync: boolean;
  log: Log;
  /** Called after entries were written. */
  onAppend: () => void;
  /** What waits of this process's own journal. */
  waiting: () => { bytes: number; oldestTime: number | undefined };
}

/** An entry that is to be written, and what is to happen then. */
export interface Appended {
  /** What begins the entry's session. */
  open: SessionOpen;
  entry: FrameEntry | SessionClose;
  /** What the entry's frame is, where somebody has looked at it already. */
  view?: FrameView;
  /** Lets the frame go on. */
  pass: () => void;
}

/** What of a session could not be written since the last entry that was. */
interface Loss {
  open: SessionOpen;
  gap: GapEntry | undefined;
  close: SessionClose | undefined;
}

/**
 * The recorder's durable queue. Entries that come in one turn of the event loop are appended with one write, and their
 * frames go on when it has returned: then they are in the operating system's hands, and outlive this process. When they
 * cannot be written (the disk is full, a limit is reached) the frames go on all the same; the loss is counted, and one gap
 * a session says what is missing as soon as writing works again. What is in the queue already is never given up for it.
 */
export class Spool {
  readonly #options: SpoolOptions;
  #journal: Journal | undefined;
  #pending: Appended[] = [];
  /** What is open at the end of the journal, with which the next segment begins. */
  readonly #ledger = new Ledger();
  readonly #buffer = new EntryBuffer();
  readonly #losses = new Map<string, Loss>();
  #retry: ReturnType<typeof setInterval> | undefined;
  /** The segment that the disk is at work on. */
  #syncing: Segment | undefined;
  #isClosed = false;
  /** A segment that could not be begun is tried again when the old one has grown by as much. */
  #rotateAtBytes = SEGMENT_BYTES;
  #othersBytes = 0;
  #othersCheckedMs = -Infinity;
  /** Why nothing is recorded at the moment. */
  failure: string | undefined;
  /** Frames that were relayed and could not be written, and their bytes. */
  lostFrames = 0;
  lostBytes = 0;
  /** Entries written. */
  entries = 0;

  constructor(options: SpoolOptions) {
    this.#options = options;
  }

  /** This process's own, as soon as something was written. */
  get journal(): Journal | undefined {
    return this.#journal;
  }

  /** Takes an entry; `pass` is called, in the order of the entries, when its frame may go on. */
  append(appended: Appended): void {
    if (this.#isClosed) return appended.pass();
    this.#pending.push(appended);
    if (this.#pending.length === 1 && !this.#syncing) setImmediate(() => this.#flush());
  }

  /** Writes what waits, and takes nothing more: what is relayed from now on is not recorded. */
  close(): void {
    clearInterval(this.#retry);
    this.#syncing = undefined;
    // The disk may be at work on the last segment.
    this.#rotateAtBytes = Infinity;
    this.#flush(false);
    if (this.#losses.size > 0) this.#write([]);
    this.#isClosed = true;
    if (this.#losses.size > 0)
      this.#options.log.error("frames were relayed and not recorded, and no gap could be marked", {
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
    for (const { pass } of pending) pass();
    if (isWritten) this.#written(pending);
  }

  /** After the frames have gone on: what is left to do may cost nobody time. */
  #written(pending: Appended[]): void {
    for (const { entry, view } of pending) this.#ledger.take(entry, view);
    this.#options.onAppend();
  }

  /** What comes while the disk is at work goes together in the next write. */
  #passSynced(pending: Appended[]): void {
    const segment = this.#journal?.current;
    if (!segment) return;
    this.#syncing = segment;
    fdatasync(segment.descriptor, (error) => {
      if (error) this.#options.log.error("the disk does not confirm what was written", { error });
      this.#syncing = undefined;
      for (const { pass } of pending) pass();
      this.#written(pending);
      this.#flush();
    });
  }

  /** Writes entries, with the openings and the gaps that belong before them. All or nothing. */
  #write(pending: Appended[]): boolean {
    try {
      this.#encode(pending);
      const { bytes } = this.#buffer;
      this.#refuseBeyondLimits(bytes.length);
      this.#segment().append(bytes);
      this.#wrote(pending);
      return true;
    } catch (error) {
      this.#lost(pending, error as Error);
      return false;
    } finally {
      this.#buffer.clear();
    }
  }

  /** The segment to write to: another one when the last is large. */
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
      this.#options.log.warn("the spool could not begin a new segment; it goes on with the old one", { error });
      this.#rotateAtBytes = current.bytes + SEGMENT_BYTES;
      return current;
    }
  }

  /**
   * A segment opens with the sessions and calls that are open at its beginning, so that whoever finds it can deliver it
   * although those before it are gone.
   */
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
    if (this.failure !== undefined) log.info("frames are recorded again", { lost: this.lostFrames });
    this.failure = undefined;
    this.#losses.clear();
    clearInterval(this.#retry);
    this.#retry = undefined;
  }

  #lost(pending: Appended[], error: Error): void {
    if (this.failure === undefined)
      this.#options.log.error("frames cannot be recorded; they are relayed all the same", { error });
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

  /** The oldest is kept: what is recorded already is worth more than what would take its place. */
  #refuseBeyondLimits(more: number): void {
    const { folder, limits, waiting } = this.#options;
    const { bytes, oldestTime } = waiting();
    if (performance.now() - this.#othersCheckedMs > FOLDER_CHECK_MS) {
      this.#othersCheckedMs = performance.now();
      this.#othersBytes = Journal.waitingBytes(folder, this.#journal?.owner);
    }
    if (bytes + this.#othersBytes + more > limits.bytes)
      throw new Error(`the spool holds as much as it may (DEWEY_SPOOL_MAX_MB)`);
    if (oldestTime !== undefined && Date.now() - oldestTime > limits.ageMs)
      throw new Error(`the oldest that the spool holds is as old as it may be (DEWEY_SPOOL_MAX_DAYS)`);
  }
}

/** A file that was made is on the disk when its folder is. */
function syncFolder(folder: string): void {
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** A gap that a frame more is part of. */
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
