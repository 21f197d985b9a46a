import type { ToolClient } from "../../tool-client.ts";
import type { Log } from "../../log.ts";
import { Courier } from "./courier.ts";
import { Journal } from "../spool/journal.ts";
import { Outbox } from "./outbox.ts";
import { Pace } from "./pace.ts";
import { SetAside } from "./set-aside.ts";
import { Suspects } from "./suspects.ts";
import { Spool } from "../spool/spool.ts";
import type { SpoolLimits } from "../spool/spool.ts";

/** Share of the spool's size limit above which delivery no longer yields to relaying. */
const FILLING_SHARE = 0.5;
/** Interval between searches for journals of dead proxies, and the number delivered in parallel. */
const ADOPT_INTERVAL_MS = 30_000;
const MAX_ADOPTED = 4;
/** Poll interval while a stopping proxy waits for its delivery. */
const STOP_POLL_MS = 10;

export interface ShipperOptions {
  folder: string;
  limits: SpoolLimits;
  /** Whether a frame is synced to disk before it goes on. */
  sync: boolean;
  client: Pick<ToolClient, "call">;
  log: Log;
}

/** The recorder's part of the health. */
export interface RecorderHealth {
  /** Whether frames are being recorded; if not, `not_recording_because` has the reason. */
  recording: boolean;
  not_recording_because: string | null;
  /** Undelivered entries and bytes of this proxy's journal and of those it has taken over. */
  queued_records: number;
  queued_bytes: number;
  oldest_age_seconds: number | null;
  last_delivery: string | null;
  /** Why the last delivery failed; null if it succeeded. */
  last_error: string | null;
  delivered_messages: number;
  lost_frames: number;
  lost_bytes: number;
  /** Bytes of the spool that were unreadable. */
  damaged_bytes: number;
  /** Records of permanently deleted conversations. */
  dropped_records: number;
  set_aside: number;
  /** The file of refused records; null when there are none. */
  set_aside_file: string | null;
}

/** A journal being delivered, and its number of entries. */
interface Shipment {
  journal: Journal;
  courier: Courier;
  entries: () => number;
}

/** Delivers the spool to Dewey in order: this process's journal, and the journals that dead proxies left. */
export class Shipper {
  readonly spool: Spool;
  readonly #options: ShipperOptions;
  readonly #outbox: Outbox;
  readonly #setAside: SetAside;
  readonly #pace: Pace;
  #own: Shipment | undefined;
  readonly #adopted = new Set<Shipment>();
  #isReading = false;
  #isStopping = false;
  #adoption: ReturnType<typeof setInterval> | undefined;
  #damagedBytes = 0;

  constructor(options: ShipperOptions) {
    this.#options = options;
    const { client, folder, limits, sync, log } = options;
    this.#setAside = new SetAside(folder);
    this.#outbox = new Outbox({ client, setAside: this.#setAside, suspects: new Suspects(folder, limits.ageMs), log });
    this.spool = new Spool({
      folder,
      limits,
      sync,
      log,
      onAppend: () => this.#appended(),
      waiting: () => ({ bytes: this.#own?.journal.waitingBytes ?? 0, oldestTime: this.#oldestTime() }),
    });
    this.#pace = new Pace({
      frames: () => this.spool.entries,
      isQuiet: () => this.#outbox.isQuiet,
      isFilling: () => (this.#own?.journal.waitingBytes ?? 0) > FILLING_SHARE * limits.bytes,
    });
  }

  /** Starts taking over the journals of dead proxies. */
  start(): void {
    this.#adopt();
    this.#adoption = setInterval(() => this.#adopt(), ADOPT_INTERVAL_MS);
  }

  /** Stops. Delivery may go on for `graceMs`; the rest is left to the next proxy. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    this.#pace.stop();
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

  /** Called for every write to the spool, so it allocates nothing. */
  #oldestTime(): number | undefined {
    let oldest = this.#own?.courier.oldestTime;
    for (const { courier } of this.#adopted) {
      const time = courier.oldestTime ?? Infinity;
      if (time < (oldest ?? Infinity)) oldest = time;
    }
    return oldest;
  }

  #appended(): void {
    const { journal } = this.spool;
    if (!journal) return;
    this.#own ??= this.#shipment(journal, () => this.spool.entries);
    void this.#read(this.#own);
  }

  #shipment(journal: Journal, entries: () => number): Shipment {
    const { log } = this.#options;
    const onDamage = (bytes: number) => (this.#damagedBytes += bytes);
    return { journal, courier: new Courier({ journal, outbox: this.#outbox, log, onDamage }), entries };
  }

  /** Follows this process's journal, one reading at a time. */
  async #read(shipment: Shipment): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    await this.#readToEnd(shipment);
    this.#isReading = false;
  }

  /**
   * Waits for the store after each reading, so that entries written in the meantime go together in the next one: many small
   * calls would take processor time from the relay.
   */
  async #readToEnd({ courier, journal }: Shipment): Promise<void> {
    const sinceMs = Date.now();
    do {
      const bytes = await this.#pace.turn(Math.max(sinceMs, courier.readTime));
      await courier.read(bytes);
      await this.#pace.settled();
    } while (!courier.isAtEnd && !journal.isClosed);
  }

  /** Takes over journals of dead processes, a few at a time; the next round takes the rest. */
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
    log.info("delivering a journal that an earlier proxy left", { journal: journal.owner, bytes });
    entries = await journal.count();
    await this.#readToEnd(shipment);
    await shipment.courier.finish();
    if (this.#isStopping && !this.#adopted.has(shipment)) return;
    journal.finish();
    this.#adopted.delete(shipment);
    log.info("delivered a journal that an earlier proxy left", { journal: journal.owner, bytes });
    if (!this.#isStopping) this.#adopt();
  }
}
