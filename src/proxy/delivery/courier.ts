import type { Log } from "../../log.ts";
import { doing } from "../../watchdog.ts";
import { encodeEntry } from "../spool/entry.ts";
import type { Entry } from "../spool/entry.ts";
import { isBefore } from "../spool/journal.ts";
import type { Journal, Position } from "../spool/journal.ts";
import type { Outbox } from "./outbox.ts";
import { RecordBuilder } from "./record.ts";
import type { Delivery } from "./record.ts";
import type { SegmentPart, Segment } from "../spool/segment.ts";

/** An entry with records in flight, and the position up to which the journal is delivered once these records are. */
interface Waypoint {
  position: Position;
  /** Number of the journal's entries up to that position. */
  entries: number;
  time: number;
  before: Waypoint | undefined;
  after: Waypoint | undefined;
}

export interface CourierOptions {
  journal: Journal;
  outbox: Outbox;
  log: Log;
  /** Number of the journal's entries in segments before the one in which delivery begins. */
  entriesBefore?: number;
  /** Called with the number of bytes that hold no readable entry. */
  onDamage: (bytes: number) => void;
}

/**
 * Reads one journal in order, from where its delivery begins, hands its records to the outbox, and moves the journal's cursor as they are delivered. It
 * reads ahead of delivery as far as the outbox has room.
 */
export class Courier {
  readonly #recorder: RecordBuilder;
  readonly #options: CourierOptions;
  /** Entries before this position were delivered earlier, and are read again only for the state of their sessions. */
  readonly #start: Position;
  #reading: Position;
  #readEntries: number;
  /** Numbers of entries before the segments that were read. */
  readonly #entriesBefore = new Map<number, number>();
  #readTime = 0;
  #isReading = false;
  #isRetired = false;
  /** Everything before this position is delivered. */
  #delivered: Position;
  #deliveredEntries: number;
  #isNoting = false;
  /** Entries with records in flight, in the order of the journal. */
  #oldest: Waypoint | undefined;
  #newest: Waypoint | undefined;
  #empty = Promise.withResolvers<void>();

  constructor(options: CourierOptions) {
    this.#options = options;
    const { start, lacksBeginning } = options.journal;
    this.#readEntries = this.#deliveredEntries = options.entriesBefore ?? 0;
    this.#entriesBefore.set(start.segment, this.#readEntries);
    this.#start = start;
    this.#recorder = new RecordBuilder({ beginsAnew: lacksBeginning });
    this.#reading = { segment: start.segment, offset: 0 };
    this.#delivered = { ...start };
  }

  /** Whether every written entry has been read. */
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

  /** When the oldest undelivered entry was recorded, among those that have been read. */
  get oldestTime(): number | undefined {
    return this.#oldest?.time;
  }

  /** When the last entry that was read was recorded. */
  get readTime(): number {
    return this.#readTime;
  }

  /** Reads about this many bytes, or to the end. One call at a time. */
  async read(mostBytes: number): Promise<void> {
    const { journal, outbox } = this.#options;
    for (let left = mostBytes; left > 0 && !this.#isOver;) {
      const segment = journal.segment(this.#reading.segment);
      if (segment && this.#reading.offset < segment.bytes) {
        this.#isReading = true;
        const piece = doing("reading the spool", () => this.#piece(segment, left));
        for (const each of piece.entries) {
          if ("time" in each.entry) this.#readTime = each.entry.time;
          this.#take(this.#records(each.entry), "time" in each.entry ? each.entry.time : 0, each.end);
          if (outbox.isFull) await outbox.room();
          if (this.#isOver) return;
        }
        left -= piece.next - this.#reading.offset;
        this.#reading.offset = piece.next;
        this.#isReading = false;
        // Relaying goes first.
        await new Promise(setImmediate);
        continue;
      }
      const next = journal.after(this.#reading.segment);
      if (next === undefined) return;
      this.#reading = { segment: next, offset: 0 };
      this.#entriesBefore.set(next, this.#readEntries);
    }
  }

  /** Number of the journal's entries in segments before this one. */
  entriesBefore(segment: number): number {
    return this.#entriesBefore.get(segment) ?? 0;
  }

  /** Ends its work, since another courier begins at an earlier position: it moves the cursor no more. */
  retire(): void {
    this.#isRetired = true;
    this.#oldest = this.#newest = undefined;
    this.#empty.resolve();
  }

  get #isOver(): boolean {
    return this.#isRetired || this.#options.journal.isClosed;
  }

  /** Closes the sessions that a dead process left open, and resolves when everything is delivered. */
  async finish(): Promise<void> {
    if (this.#isRetired) return;
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
      if (damage.isTail)
        log.warn("the spool ends in a torn write, which was discarded", { ...fields, bytes: damage.bytes });
      else
        log.error("part of the spool is damaged; the entries after it were recovered", {
          ...fields,
          bytes: damage.bytes,
        });
      return piece;
    } catch (error) {
      // Removed, or on a failing disk: skip it, since the other segments can still be delivered.
      onDamage(segment.bytes - offset);
      log.error("a segment of the spool cannot be read; it was skipped", { ...fields, error });
      return { entries: [], next: segment.bytes };
    }
  }

  /** The records of an entry. One that throws is skipped, so that it never blocks later entries. */
  #records(entry: Entry): Delivery[] {
    try {
      return doing("making records", () => this.#recorder.take(entry));
    } catch (error) {
      this.#options.log.error("an entry of the spool is malformed; it was skipped", {
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
    if (isBefore(position, this.#start)) return this.#deliver(position, this.#readEntries);
    if (deliveries.length === 0) return this.#extend(position);
    this.#send(deliveries, time, position);
  }

  #send(deliveries: Delivery[], time: number, position: Position): void {
    const waypoint: Waypoint = { position, entries: this.#readEntries, time, before: this.#newest, after: undefined };
    if (this.#newest) this.#newest.after = waypoint;
    else this.#oldest = waypoint;
    this.#newest = waypoint;
    let waiting = deliveries.length;
    const settled = () => {
      waiting -= 1;
      if (waiting === 0 && !this.#isRetired) this.#arrived(waypoint);
    };
    for (const delivery of deliveries) this.#options.outbox.put(delivery, settled, this);
  }

  /** An entry without records counts as delivered together with the entries before it. */
  #extend(position: Position): void {
    if (this.#newest) Object.assign(this.#newest, { position, entries: this.#readEntries });
    else this.#deliver(position, this.#readEntries);
  }

  /** Notes that an entry's records have arrived. While older ones are in flight, it counts as delivered with the entry before it. */
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
    // Once for everything that arrives in this turn of the event loop.
    if (!this.#isNoting) queueMicrotask(() => this.#note());
    this.#isNoting = true;
    this.#delivered = position;
  }

  #note(): void {
    this.#isNoting = false;
    if (this.#isRetired) return;
    this.#options.journal.deliveredTo(this.#delivered);
  }
}
