import { closeSync, fdatasync, fsyncSync, openSync } from "node:fs";
import type { Log } from "../log.ts";
import { encodeEntry } from "./entry.ts";
import type { FrameEntry, GapEntry, SessionClose, SessionOpen, StateEntry } from "./entry.ts";
import { Journal } from "./journal.ts";
import type { Segment } from "./segment.ts";

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

type SessionEntry = FrameEntry | SessionClose;

interface Pending {
  open: SessionOpen;
  entry: SessionEntry;
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
  #pending: Pending[] = [];
  /** Sessions whose opening is written. */
  readonly #opened = new Set<string>();
  readonly #losses = new Map<string, Loss>();
  #retry: ReturnType<typeof setInterval> | undefined;
  /** The segment that the disk is at work on. */
  #syncing: Segment | undefined;
  #isClosed = false;
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

  /** Takes an entry of the session that `open` begins; `pass` is called, in the order of the entries, when the frame may go on. */
  append(open: SessionOpen, entry: SessionEntry, pass: () => void): void {
    if (this.#isClosed) return pass();
    this.#pending.push({ open, entry, pass });
    if (this.#pending.length === 1 && !this.#syncing) setImmediate(() => this.#flush());
  }

  /** Begins a new segment with what is open at the end of the old one. Throws when it cannot be made. */
  rotate(state: StateEntry): void {
    if (!this.#journal) return;
    const old = this.#journal.current;
    this.#begin(this.#journal, state);
    if (this.#syncing !== old) old?.close();
  }

  /** Writes what waits, and takes nothing more: what is relayed from now on is not recorded. */
  close(): void {
    clearInterval(this.#retry);
    this.#syncing = undefined;
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
    const written = this.#write(pending);
    if (written && sync) this.#passSynced(pending);
    else for (const { pass } of pending) pass();
    if (written) this.#options.onAppend();
  }

  /** What comes while the disk is at work goes together in the next write. */
  #passSynced(pending: Pending[]): void {
    const segment = this.#journal?.current;
    if (!segment) return;
    this.#syncing = segment;
    fdatasync(segment.descriptor, (error) => {
      if (error) this.#options.log.error("the disk does not confirm what was written", { error });
      if (segment !== this.#journal?.current) segment.close();
      this.#syncing = undefined;
      for (const { pass } of pending) pass();
      this.#flush();
    });
  }

  /** Writes entries, with the openings and the gaps that belong before them. All or nothing. */
  #write(pending: Pending[]): boolean {
    try {
      const bytes = Buffer.concat([...this.#gaps(), ...this.#encode(pending)]);
      this.#refuseBeyondLimits(bytes.length);
      this.#journal ??= Journal.create(this.#options.folder);
      const segment = this.#journal.current ?? this.#begin(this.#journal, { kind: "state", sessions: [] });
      segment.append(bytes);
      this.#wrote(pending);
      return true;
    } catch (error) {
      this.#lost(pending, error as Error);
      return false;
    }
  }

  #begin(journal: Journal, state: StateEntry): Segment {
    const segment = journal.begin(state);
    this.entries += 1;
    if (this.#options.sync) syncFolder(this.#options.folder);
    return segment;
  }

  #gaps(): Buffer[] {
    return [...this.#losses.values()].flatMap(({ open, gap, close }) =>
      [...(this.#opened.has(open.session) ? [] : [open]), ...(gap ? [gap] : []), ...(close ? [close] : [])].map(
        encodeEntry,
      ),
    );
  }

  #encode(pending: Pending[]): Buffer[] {
    const opening = new Set<string>();
    return pending.flatMap(({ open, entry }) => {
      const isKnown = this.#opened.has(open.session) || this.#losses.has(open.session) || opening.has(open.session);
      if (isKnown) return [encodeEntry(entry)];
      opening.add(open.session);
      return [encodeEntry(open), encodeEntry(entry)];
    });
  }

  #wrote(pending: Pending[]): void {
    const { log } = this.#options;
    for (const { open, gap, close } of this.#losses.values()) {
      this.entries += (this.#opened.has(open.session) ? 0 : 1) + (gap ? 1 : 0) + (close ? 1 : 0);
      if (close) this.#opened.delete(open.session);
      else this.#opened.add(open.session);
    }
    for (const { open, entry } of pending) {
      this.entries += this.#opened.has(open.session) ? 1 : 2;
      if (entry.kind === "close") this.#opened.delete(open.session);
      else this.#opened.add(open.session);
    }
    if (this.failure !== undefined) log.info("frames are recorded again", { lost: this.lostFrames });
    this.failure = undefined;
    this.#losses.clear();
    clearInterval(this.#retry);
    this.#retry = undefined;
  }

  #lost(pending: Pending[], error: Error): void {
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
