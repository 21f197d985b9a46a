import type { ToolClient } from "../../tool-client.ts";
import type { Log } from "../../log.ts";
import { Courier } from "./courier.ts";
import { HistoryWatch } from "./history-watch.ts";
import { Journal } from "../spool/journal.ts";
import { Keeping } from "./keeping.ts";
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
/**
 * Interval between looks at the database's history while delivered entries are kept. What a failover has lost is missing for
 * about so long, unless a call fails in it.
 */
const LOOK_INTERVAL_MS = 10_000;
/** Poll interval while a stopping proxy waits for its delivery. */
const STOP_POLL_MS = 10;

export interface ShipperOptions {
  folder: string;
  limits: SpoolLimits;
  /** Whether a frame is synced to disk before it goes on. */
  sync: boolean;
  client: Pick<ToolClient, "call">;
  log: Log;
  /** How long delivered entries are kept, and the interval between looks; shorter in tests. */
  keptMs?: number;
  lookIntervalMs?: number;
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
  /** How often what had been delivered last was delivered again, because the database had another history: after a failover. */
  redeliveries: number;
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
  /** Replaced when the journal is delivered again. */
  courier: Courier;
  keeping: Keeping;
  entries: () => number;
}

/**
 * Delivers the spool to Dewey in order: this process's journal, and the journals that dead proxies left. What was delivered is
 * kept for some minutes, and delivered once more after a failover, since a new primary may lack what was committed last.
 */
export class Shipper {
  readonly spool: Spool;
  readonly #options: ShipperOptions;
  readonly #outbox: Outbox;
  readonly #setAside: SetAside;
  readonly #pace: Pace;
  readonly #watch: HistoryWatch;
  #own: Shipment | undefined;
  readonly #adopted = new Set<Shipment>();
  #isReading = false;
  #isStopping = false;
  #adoption: ReturnType<typeof setInterval> | undefined;
  #looks: ReturnType<typeof setInterval> | undefined;
  #damagedBytes = 0;
  #redeliveries = 0;

  constructor(options: ShipperOptions) {
    this.#options = options;
    const { client, folder, limits, sync, log } = options;
    this.#setAside = new SetAside(folder);
    this.#watch = new HistoryWatch({ client, onLook: (history, askedMs) => this.#looked(history, askedMs) });
    this.#outbox = new Outbox({
      client: this.#watch,
      setAside: this.#setAside,
      suspects: new Suspects(folder, limits.ageMs),
      log,
    });
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

  /** Starts taking over the journals of dead proxies, and looking at the database's history. */
  start(): void {
    this.#adopt();
    this.#looks = setInterval(() => this.#look(), this.#options.lookIntervalMs ?? LOOK_INTERVAL_MS);
    this.#adoption = setInterval(() => this.#adopt(), ADOPT_INTERVAL_MS);
  }

  /** Stops. Delivery may go on for `graceMs`; the rest is left to the next proxy. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    this.#pace.stop();
    clearInterval(this.#adoption);
    clearInterval(this.#looks);
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
      redeliveries: this.#redeliveries,
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
    if (!this.#own) {
      this.#own = this.#shipment(journal, () => this.spool.entries);
      journal.keepFor(this.#watch.history);
    }
    void this.#read(this.#own);
  }

  #shipment(journal: Journal, entries: () => number): Shipment {
    const keeping = new Keeping(journal, this.#options.keptMs);
    return { journal, courier: this.#courier(journal, 0), keeping, entries };
  }

  #courier(journal: Journal, entriesBefore: number): Courier {
    const onDamage = (bytes: number) => (this.#damagedBytes += bytes);
    return new Courier({ journal, outbox: this.#outbox, log: this.#options.log, entriesBefore, onDamage });
  }

  /** Looks while something is kept. The failure of a look is nothing new: delivery reports it. */
  #look(): void {
    if (this.#shipments().some(({ journal }) => journal.isKeeping)) this.#watch.look().catch(() => {});
    else this.#watch.doubt();
  }

  /** Takes the database's history. Returns whether something is delivered again. */
  #looked(history: string | undefined, askedMs: number): boolean {
    if (this.#isStopping) return false;
    const lost = this.#shipments().filter(({ keeping }) => keeping.looked(history, askedMs));
    for (const shipment of lost) this.#deliverAgain(shipment, history);
    return lost.length > 0;
  }

  #deliverAgain(shipment: Shipment, history: string | undefined): void {
    const { journal, courier } = shipment;
    const before = journal.history;
    courier.retire();
    this.#outbox.withdraw(courier);
    journal.rewind();
    journal.keepFor(history);
    shipment.courier = this.#courier(journal, courier.entriesBefore(journal.start.segment));
    this.#redeliveries += 1;
    const { owner, waitingBytes: bytes } = journal;
    this.#options.log.warn(
      "the database has another history, as after a failover; what was delivered last is delivered again",
      { journal: owner, before, now: history, bytes },
    );
    if (shipment === this.#own) void this.#read(shipment);
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
  async #readToEnd(shipment: Shipment): Promise<void> {
    const { journal } = shipment;
    const sinceMs = Date.now();
    do {
      const bytes = await this.#pace.turn(Math.max(sinceMs, shipment.courier.readTime));
      await shipment.courier.read(bytes);
      await this.#pace.settled();
    } while (!shipment.courier.isAtEnd && !journal.isClosed);
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
    shipment.courier = this.#courier(journal, await journal.count(journal.start.segment));
    await this.#deliverWhole(shipment);
    if (this.#isStopping && !this.#adopted.has(shipment)) return;
    journal.finish();
    this.#adopted.delete(shipment);
    log.info("delivered a journal that an earlier proxy left", { journal: journal.owner, bytes });
    if (!this.#isStopping) this.#adopt();
  }

  /**
   * Delivers a journal to its end, and looks afterwards whether that was to the history to which the rest went: the database may
   * have failed over together with the journal's process.
   */
  async #deliverWhole(shipment: Shipment): Promise<void> {
    let courier: Courier;
    this.#watch.doubt();
    do {
      courier = shipment.courier;
      await this.#readToEnd(shipment);
      await courier.finish();
      if (shipment.journal.isKeeping) await this.#lookUntilAnswered();
    } while (shipment.courier !== courier && !shipment.journal.isClosed);
  }

  async #lookUntilAnswered(): Promise<void> {
    const isAnswered = () =>
      this.#watch.look().then(
        () => true,
        () => false,
      );
    while (!this.#isStopping && !(await isAnswered()))
      await Bun.sleep(this.#options.lookIntervalMs ?? LOOK_INTERVAL_MS);
  }
}
