import type { Log } from "../../log.ts";
import { encodeEntry } from "../spool/entry.ts";
import type { Entry } from "../spool/entry.ts";
import type { Journal, Position } from "../spool/journal.ts";
import type { Outbox } from "./outbox.ts";
import { RecordBuilder } from "./record.ts";
import type { Delivery } from "./record.ts";
import type { SegmentPart, Segment } from "../spool/segment.ts";

/** An entry with records under way, and how far everything is delivered once it and all before it are. */
interface Waypoint {
  position: Position;
  /** How many of the journal's entries are delivered then. */
  entries: number;
  time: number;
  before: Waypoint | undefined;
  after: Waypoint | undefined;
}

export interface CourierOptions {
  journal: Journal;
  outbox: Outbox;
  log: Log;
  /** Told of bytes that are no entries. */
  onDamage: (bytes: number) => void;
}

/**
 * Reads one journal in its order, hands what is to be stored to the outbox, and lets go of what is delivered. It reads
 * ahead of delivery as far as the outbox has room.
 */
export class Courier {
  readonly #recorder: RecordBuilder;
  readonly #options: CourierOptions;
  #reading: Position;
  #readEntries = 0;
  #readTime = 0;
  #isReading = false;
  /** How far everything is delivered. */
  #delivered: Position;
  #deliveredEntries = 0;
  #isNoting = false;
  /** Records under way, in the order of the journal. */
  #oldest: Waypoint | undefined;
  #newest: Waypoint | undefined;
  #empty = Promise.withResolvers<void>();

  constructor(options: CourierOptions) {
    this.#options = options;
    const { start, lacksBeginning } = options.journal;
    this.#recorder = new RecordBuilder({ beginsAnew: lacksBeginning });
    this.#reading = { segment: start.segment, offset: 0 };
    this.#delivered = { ...start };
  }

  /** Whether everything that was written is read. */
  get isAtEnd(): boolean {
    const { journal } = this.#options;
    const segment = journal.segment(this.#reading.segment);
    return !this.#isReading && segment === journal.current && this.#reading.offset === (segment?.bytes ?? 0);
  }

  get isDelivered(): boolean {
    return this.isAtEnd && this.#oldest === undefined;
  }

  get deliveredEntries(): number {
    return this.#deliveredEntries;
  }

  /** When the oldest that waits was recorded, as far as it is read. */
  get oldestTime(): number | undefined {
    return this.#oldest?.time;
  }

  /** When what was read last was recorded. */
  get readTime(): number {
    return this.#readTime;
  }

  /** Reads on, about so many bytes, or to the end of what is written. One call at a time. */
  async read(mostBytes: number): Promise<void> {
    const { journal, outbox } = this.#options;
    for (let left = mostBytes; left > 0 && !journal.isClosed;) {
      const segment = journal.segment(this.#reading.segment);
      if (segment && this.#reading.offset < segment.bytes) {
        this.#isReading = true;
        const piece = this.#piece(segment, left);
        for (const each of piece.entries) {
          if ("time" in each.entry) this.#readTime = each.entry.time;
          this.#take(this.#records(each.entry), "time" in each.entry ? each.entry.time : 0, each.end);
          if (outbox.isFull) await outbox.room();
          if (journal.isClosed) return;
        }
        left -= piece.next - this.#reading.offset;
        this.#reading.offset = piece.next;
        this.#isReading = false;
        // The relay goes first.
        await new Promise(setImmediate);
        continue;
      }
      const next = journal.after(this.#reading.segment);
      if (next === undefined) return;
      this.#reading = { segment: next, offset: 0 };
    }
  }

  /** Closes the sessions that a process has left open which is no more, and resolves when everything is delivered. */
  async finish(): Promise<void> {
    for (const delivery of this.#recorder.abandon()) this.#send([delivery], Date.now(), { ...this.#reading });
    while (this.#oldest !== undefined) await this.#empty.promise;
  }

  #piece(segment: Segment, mostBytes: number): SegmentPart {
    const { offset } = this.#reading;
    const { log, onDamage } = this.#options;
    const fields = { file: segment.file, offset };
    try {
      const piece = segment.read(offset, mostBytes);
      const { damage } = piece;
      if (!damage) return piece;
      onDamage(damage.bytes);
      if (damage.isTail) log.warn("the end of the spool was torn, and is cut off", { ...fields, bytes: damage.bytes });
      else log.error("a piece of the spool is damaged; what is behind it is saved", { ...fields, bytes: damage.bytes });
      return piece;
    } catch (error) {
      // Removed by somebody, or on a disk that fails: what can be read of the others is worth more than stopping here.
      onDamage(segment.bytes - offset);
      log.error("a piece of the spool cannot be read; it is passed over", { ...fields, error });
      return { entries: [], next: segment.bytes };
    }
  }

  /** What one entry does to us must not keep us from those behind it, now and whenever the spool is read. */
  #records(entry: Entry): Delivery[] {
    try {
      return this.#recorder.take(entry);
    } catch (error) {
      this.#options.log.error("an entry of the spool is not understood; it is passed over", {
        kind: entry.kind,
        error,
      });
      this.#options.onDamage(encodeEntry(entry).length);
      return [];
    }
  }

  #take(deliveries: Delivery[], time: number, end: number): void {
    this.#readEntries += 1;
    const position = { segment: this.#reading.segment, offset: end };
    // Read again only to know what it was about.
    if (isBefore(position, this.#options.journal.start)) return this.#deliver(position, this.#readEntries);
    if (deliveries.length === 0) return this.#extend(position);
    this.#send(deliveries, time, position);
  }

  #send(deliveries: Delivery[], time: number, position: Position): void {
    const waypoint: Waypoint = { position, entries: this.#readEntries, time, before: this.#newest, after: undefined };
    if (this.#newest) this.#newest.after = waypoint;
    else this.#oldest = waypoint;
    this.#newest = waypoint;
    let waiting = deliveries.length;
    for (const delivery of deliveries)
      this.#options.outbox.put(delivery, () => {
        waiting -= 1;
        if (waiting === 0) this.#arrived(waypoint);
      });
  }

  /** An entry without records is delivered with those before it. */
  #extend(position: Position): void {
    if (this.#newest) Object.assign(this.#newest, { position, entries: this.#readEntries });
    else this.#deliver(position, this.#readEntries);
  }

  /** What arrives before older ones is delivered with the one that it follows. */
  #arrived(waypoint: Waypoint): void {
    const { before, after, position, entries } = waypoint;
    if (before) Object.assign(before, { after, position, entries });
    else this.#oldest = after;
    if (after) after.before = before;
    else this.#newest = before;
    if (before) return;
    this.#deliver(position, entries);
    if (this.#oldest) return;
    this.#empty.resolve();
    this.#empty = Promise.withResolvers();
  }

  #deliver(position: Position, entries: number): void {
    this.#deliveredEntries = entries;
    if (isBefore(position, this.#delivered)) return;
    // Once for all that arrives in this turn of the event loop.
    if (!this.#isNoting) queueMicrotask(() => this.#note());
    this.#isNoting = true;
    this.#delivered = position;
  }

  #note(): void {
    this.#isNoting = false;
    this.#options.journal.deliveredTo(this.#delivered);
  }
}

/** Whether one place is not behind another. */
function isBefore(a: Position, b: Position): boolean {
  return a.segment < b.segment || (a.segment === b.segment && a.offset <= b.offset);
}
