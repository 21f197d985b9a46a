import type { Client } from "../client.ts";
import type { Log } from "../log.ts";
import { Courier } from "./courier.ts";
import { Journal } from "./journal.ts";
import { Outbox } from "./outbox.ts";
import { Recorder } from "./record.ts";
import type { Segment } from "./segment.ts";
import { SetAside } from "./set-aside.ts";
import { Spool } from "./spool.ts";
import type { SpoolLimits } from "./spool.ts";

/** A segment that has grown to this is followed by another, so that the disk is freed as delivery goes on. */
const SEGMENT_BYTES = 8 * 1024 * 1024;
/**
 * Pauses between readings of what is written: at least a moment, and until the store has taken what was read before,
 * but not so long that one conversation that it does not take is felt by the others.
 */
const READ_PAUSE_MS = 10;
const LONGEST_READ_PAUSE_MS = 1000;
const QUIET_POLL_MS = 5;
/** How many times as much as is written is read of a segment whose end is to be reached. */
const FOLLOW_AHEAD = 2;
/** How often journals of proxies that are no more are looked for, and how many are delivered side by side. */
const ADOPT_INTERVAL_MS = 30_000;
const MAX_ADOPTED = 4;
/** How often it is looked whether everything is delivered, when the proxy stops. */
const STOP_POLL_MS = 10;

export interface ShipperOptions {
  folder: string;
  limits: SpoolLimits;
  /** Whether the disk has a frame before it goes on. */
  sync: boolean;
  client: Client;
  log: Log;
}

/** How the recorder is. */
export interface RecorderHealth {
  /** Whether frames are recorded at the moment; if not, `not_recording_because` says why. */
  recording: boolean;
  not_recording_because: string | null;
  /** Entries and bytes that are not delivered yet: this proxy's, and those that it has taken over from earlier ones. */
  queued_records: number;
  queued_bytes: number;
  oldest_age_seconds: number | null;
  last_delivery: string | null;
  /** Why the last attempt failed; null when it did not. */
  last_error: string | null;
  delivered_messages: number;
  lost_frames: number;
  lost_bytes: number;
  /** Bytes of the spool that could not be read. */
  damaged_bytes: number;
  /** Records of conversations that were deleted for good. */
  dropped_records: number;
  set_aside: number;
  /** Where refused records are, when there are any. */
  set_aside_file: string | null;
}

/** One journal that is delivered, and how many entries it has. */
interface Shipment {
  journal: Journal;
  courier: Courier;
  entries: () => number;
}

/** Brings what the spool holds to Dewey, in order, as long as it takes; first this process's own, and what others left. */
export class Shipper {
  readonly spool: Spool;
  readonly #options: ShipperOptions;
  readonly #outbox: Outbox;
  readonly #setAside: SetAside;
  #own: Shipment | undefined;
  readonly #adopted = new Set<Shipment>();
  #isReading = false;
  #isFollowing = false;
  #isStopping = false;
  /** A segment that could not be begun is tried again when the old one has grown by as much. */
  #rotateAt = SEGMENT_BYTES;
  #adoption: ReturnType<typeof setInterval> | undefined;
  #damagedBytes = 0;

  constructor(options: ShipperOptions) {
    this.#options = options;
    const { client, folder, limits, sync, log } = options;
    this.#setAside = new SetAside(folder);
    this.#outbox = new Outbox({ client, setAside: this.#setAside, log });
    this.spool = new Spool({
      folder,
      limits,
      sync,
      log,
      onAppend: () => this.#appended(),
      waiting: () => ({ bytes: this.#own?.journal.waitingBytes ?? 0, oldestTime: this.#oldestTime() }),
    });
  }

  /** Begins to look for what earlier proxies have left. */
  start(): void {
    this.#adopt();
    this.#adoption = setInterval(() => this.#adopt(), ADOPT_INTERVAL_MS);
  }

  /** Gives delivery so long, and leaves the rest for the next proxy. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#adoption);
    this.spool.close();
    const deadlineMs = performance.now() + graceMs;
    const isDone = () => this.#adopted.size === 0 && (this.#own?.courier.isDelivered ?? true);
    while (!isDone() && performance.now() < deadlineMs) await Bun.sleep(STOP_POLL_MS);
    this.#outbox.stop();
    for (const { journal } of this.#adopted) journal.release();
    if (this.#own?.courier.isDelivered) this.#own.journal.finish();
    else this.#own?.journal.release();
  }

  health(): RecorderHealth {
    const shipments = this.#shipments();
    const sum = (of: (shipment: Shipment) => number) => shipments.reduce((total, each) => total + of(each), 0);
    const { lastDelivery, lastError } = this.#outbox;
    const oldestTime = this.#oldestTime();
    return {
      recording: this.spool.failure === undefined,
      not_recording_because: this.spool.failure ?? null,
      queued_records: sum(({ courier, entries }) => (courier.isDelivered ? 0 : entries() - courier.deliveredEntries)),
      queued_bytes: sum(({ journal }) => journal.waitingBytes),
      oldest_age_seconds: oldestTime === undefined ? null : Math.max(0, (Date.now() - oldestTime) / 1000),
      last_delivery: lastDelivery === undefined ? null : new Date(lastDelivery).toISOString(),
      last_error: lastError ?? null,
      delivered_messages: this.#outbox.delivered,
      lost_frames: this.spool.lostFrames,
      lost_bytes: this.spool.lostBytes,
      damaged_bytes: this.#damagedBytes,
      dropped_records: this.#outbox.dropped,
      set_aside: this.#outbox.aside,
      set_aside_file: this.#setAside.isThere ? this.#setAside.file : null,
    };
  }

  #shipments(): Shipment[] {
    return [...(this.#own ? [this.#own] : []), ...this.#adopted];
  }

  #oldestTime(): number | undefined {
    const times = this.#shipments().flatMap(({ courier }) => courier.oldestTime ?? []);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  #appended(): void {
    const { journal } = this.spool;
    if (!journal) return;
    this.#own ??= this.#shipment(journal, () => this.spool.entries);
    void this.#read(this.#own);
    this.#rotate();
  }

  #shipment(journal: Journal, entries: () => number): Shipment {
    const { log } = this.#options;
    const onDamage = (bytes: number) => (this.#damagedBytes += bytes);
    return { journal, courier: new Courier({ journal, outbox: this.#outbox, log, onDamage }), entries };
  }

  /** One reading at a time follows this process's journal. */
  async #read(shipment: Shipment): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    await this.#readToEnd(shipment);
    this.#isReading = false;
    this.#rotate();
  }

  /**
   * What is written while the store is at work on what was read before goes together in the next reading: many small
   * calls would cost the relay the processor.
   */
  async #readToEnd({ courier, journal }: Shipment): Promise<void> {
    do {
      await Bun.sleep(READ_PAUSE_MS);
      const lateMs = performance.now() + LONGEST_READ_PAUSE_MS;
      while (!this.#outbox.isQuiet && performance.now() < lateMs && !this.#isStopping) await Bun.sleep(QUIET_POLL_MS);
      await courier.read();
    } while (!courier.isAtEnd && !journal.isClosed);
  }

  /**
   * Begins a new segment when the old one is large. It opens with the sessions and calls that are open at its beginning,
   * so that whoever finds it can deliver it although those before it are gone: the reader knows them when it has come
   * to the end, and otherwise they are found by reading this one segment.
   */
  #rotate(): void {
    const segment = this.#own?.journal.current;
    if (!this.#own || !segment || segment.bytes < this.#rotateAt || this.#isFollowing) return;
    if (this.#own.courier.isAtEnd) this.#begin(this.#own.courier.recorder, segment);
    else void this.#follow(segment);
  }

  async #follow(segment: Segment): Promise<void> {
    this.#isFollowing = true;
    try {
      const recorder = await this.#stateAtEnd(segment);
      if (!this.#isStopping) this.#begin(recorder, segment);
    } catch (error) {
      this.#cannotRotate(segment, error);
    }
    this.#isFollowing = false;
  }

  /** Resolves in the very turn in which the end is reached. */
  async #stateAtEnd(segment: Segment): Promise<Recorder> {
    const recorder = new Recorder();
    let [offset, grownFrom] = [0, segment.bytes];
    while (offset < segment.bytes && !this.#isStopping) {
      // More in each turn of the event loop than was written in the last, or the end would never be reached.
      const until = offset + FOLLOW_AHEAD * (segment.bytes - grownFrom);
      grownFrom = segment.bytes;
      do {
        const piece = segment.read(offset);
        for (const { entry } of piece.entries) recorder.take(entry);
        offset = piece.next;
      } while (offset < Math.min(until, segment.bytes));
      await new Promise(setImmediate);
    }
    return recorder;
  }

  #begin(recorder: Recorder, old: Segment): void {
    try {
      this.spool.rotate(recorder.state());
      this.#rotateAt = SEGMENT_BYTES;
    } catch (error) {
      this.#cannotRotate(old, error);
    }
    if (this.#own) void this.#read(this.#own);
  }

  #cannotRotate(segment: Segment, error: unknown): void {
    this.#options.log.warn("the spool could not begin a new segment; it goes on with the old one", { error });
    this.#rotateAt = segment.bytes + SEGMENT_BYTES;
  }

  /** Takes over what is there of processes that are no more, a few at a time: the next round takes the rest. */
  #adopt(): void {
    const { folder, log } = this.#options;
    try {
      for (const owner of Journal.owners(folder)) {
        if (this.#adopted.size >= MAX_ADOPTED) return;
        const journal = Journal.adopt(folder, owner);
        if (journal) void this.#deliverLeft(journal);
      }
    } catch (error) {
      log.warn("the spool folder cannot be read", { folder, error });
    }
  }

  async #deliverLeft(journal: Journal): Promise<void> {
    const { log } = this.#options;
    let entries = 0;
    const shipment = this.#shipment(journal, () => entries);
    this.#adopted.add(shipment);
    const bytes = journal.waitingBytes;
    log.info("delivering what an earlier proxy has left", { journal: journal.owner, bytes });
    entries = await journal.count();
    await this.#readToEnd(shipment);
    await shipment.courier.finish();
    if (this.#isStopping && !this.#adopted.has(shipment)) return;
    journal.finish();
    this.#adopted.delete(shipment);
    log.info("delivered what an earlier proxy has left", { journal: journal.owner, bytes });
    if (!this.#isStopping) this.#adopt();
  }
}
