import { Backoff } from "../../backoff.ts";
import type { ToolClient } from "../../tool-client.ts";
import { asDeweyError } from "../../errors.ts";
import type { DeweyError, ErrorCode } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { charactersOf, nextCall } from "./delivery-call.ts";
import type { DeliveryCall, SizedDelivery } from "./delivery-call.ts";
import type { Delivery } from "./record.ts";
import type { SetAside } from "./set-aside.ts";

/** Conversations that are delivered side by side. */
const MAX_CALLS_IN_FLIGHT = 8;
/** What is in memory at most, waiting for the store; the rest waits on disk, however much it is. */
const MAX_CHARACTERS = 32_000_000;
const MAX_DELIVERIES = 50_000;
/** Pauses while the store is away: doubled each time, with as much again at random so that many proxies do not agree. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 15_000;
/**
 * A record that fails so often and so long while others are taken is at fault itself. It is long enough for a store that
 * comes and goes, and shorter when what waits behind the record takes half of the memory, for which others would wait.
 */
const MAX_STRIKES = 4;
const STRIKES_LAST_MS = 600_000;
const STRIKES_LAST_CROWDED_MS = 60_000;
/** What the store says when it will never take a record; anything else may pass. */
const refusals: ReadonlySet<ErrorCode> = new Set(["invalid", "conflict", "not_found"]);

export interface OutboxOptions {
  client: Pick<ToolClient, "call">;
  setAside: SetAside;
  log: Log;
}

/** One delivery on its way, and whom to tell when it is settled: stored, set aside or dropped. */
interface Parcel extends SizedDelivery {
  settled: () => void;
}

/** What one conversation has to deliver, in its order: its next call waits for the one before. */
interface Lane {
  conversation: string;
  parcels: Parcel[];
  characters: number;
  backoff: Backoff;
  /**
   * How many messages go in one call: half as many after each failure that may be one message's fault, until it is alone,
   * and twice as many after each success.
   */
  most: number;
  /** Calls that failed although others had been taken since the one before, and when that began. */
  strikes: number;
  struckSinceMs: number;
  /** How many calls the store had taken when this lane's last one failed; undefined when it did not fail. */
  takenAtFailure: number | undefined;
}

/**
 * Brings deliveries to the store: conversations side by side, each in its own order, again and again while the store is
 * away. A record that the store will not take is set aside and holds up nobody; one of a conversation that is gone for
 * good is dropped.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #lanes = new Map<string, Lane>();
  readonly #ready: Lane[] = [];
  #inFlight = 0;
  #characters = 0;
  #count = 0;
  #taken = 0;
  /** Set while the store is away: then one call at a time asks whether it is back. */
  #away: { backoff: Backoff; isPausing: boolean } | undefined;
  #roomy = Promise.withResolvers<void>();
  #isStopped = false;
  lastDelivery: number | undefined;
  lastError: string | undefined;
  /** Messages that the store has. */
  delivered = 0;
  /** Records that were set aside. */
  aside = 0;
  /** Records of conversations that were deleted for good. */
  dropped = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  put(delivery: Delivery, settled: () => void): void {
    const parcel = { delivery, characters: charactersOf(delivery), settled };
    this.#characters += parcel.characters;
    this.#count += 1;
    const known = this.#lanes.get(delivery.conversation);
    if (known) {
      known.parcels.push(parcel);
      known.characters += parcel.characters;
      return;
    }
    const lane = newLane(delivery.conversation, parcel);
    this.#lanes.set(lane.conversation, lane);
    this.#ready.push(lane);
    // At the end of this turn of the event loop, so that what comes together goes together.
    queueMicrotask(() => this.#pump());
  }

  get isFull(): boolean {
    return this.#characters >= MAX_CHARACTERS || this.#count >= MAX_DELIVERIES;
  }

  /** Resolves when there is room again, or never when delivery has stopped. */
  async room(): Promise<void> {
    while (this.isFull || this.#isStopped) await this.#roomy.promise;
  }

  /** Whether nothing is being sent, or about to be: what failed and waits for another try does not count. */
  get isQuiet(): boolean {
    return this.#inFlight === 0 && (this.#ready.length === 0 || this.#away !== undefined);
  }

  /** Sends nothing more, and tells nobody what becomes of what is under way. */
  stop(): void {
    this.#isStopped = true;
  }

  #pump(): void {
    const most = this.#away ? 1 : MAX_CALLS_IN_FLIGHT;
    while (!this.#isStopped && !this.#away?.isPausing && this.#inFlight < most) {
      const lane = this.#ready.shift();
      if (!lane) return;
      this.#inFlight += 1;
      void this.#send(lane).then((pauseMs) => {
        this.#inFlight -= 1;
        this.#again(lane, pauseMs);
        this.#pump();
      });
    }
  }

  /** The lane's next call, now or after a pause. */
  #again(lane: Lane, pauseMs: number): void {
    if (lane.parcels.length === 0) {
      this.#lanes.delete(lane.conversation);
    } else if (pauseMs === 0) {
      this.#ready.push(lane);
    } else {
      setTimeout(() => {
        this.#ready.push(lane);
        this.#pump();
      }, pauseMs).unref();
    }
  }

  /** One call. Answers how long the lane should pause. */
  async #send(lane: Lane): Promise<number> {
    const call = nextCall(lane.parcels, lane.most);
    if (!call) return 0;
    try {
      await this.#options.client.call(call.tool, call.args);
    } catch (thrown) {
      return this.#isStopped ? 0 : this.#failed(lane, call, asDeweyError(thrown));
    }
    if (!this.#isStopped) this.#succeeded(lane, call);
    return 0;
  }

  #succeeded(lane: Lane, call: DeliveryCall): void {
    this.#taken += 1;
    this.lastDelivery = Date.now();
    this.delivered += call.messages;
    if (this.#away) this.#options.log.info("delivery goes on");
    this.#away = undefined;
    this.lastError = undefined;
    lane.takenAtFailure = undefined;
    this.#settle(lane, call);
  }

  #failed(lane: Lane, call: DeliveryCall, error: DeweyError): number {
    if (refusals.has(error.code)) return this.#refused(lane, call, error);
    this.lastError = error.message;
    // The calls that the store has taken since this one failed before say that it is not the store that is away.
    const isOwnFault = lane.takenAtFailure !== undefined && this.#taken > lane.takenAtFailure;
    const isRepeated = lane.takenAtFailure !== undefined;
    lane.takenAtFailure = this.#taken;
    if (isRepeated && call.messages > 1) lane.most = Math.ceil(call.messages / 2);
    if (!isOwnFault) {
      this.#pause(error);
      return 0;
    }
    return this.#strike(lane, call, error);
  }

  /** The store takes others' records and not this one. */
  #strike(lane: Lane, call: DeliveryCall, error: DeweyError): number {
    const { conversation } = lane;
    const now = performance.now();
    if (lane.strikes === 0) {
      lane.struckSinceMs = now;
      this.#options.log.warn("the store does not take a record while it takes others", { conversation, error });
    }
    lane.strikes += 1;
    const isCrowded = 2 * lane.characters > MAX_CHARACTERS || 2 * lane.parcels.length > MAX_DELIVERIES;
    const limitMs = isCrowded ? STRIKES_LAST_CROWDED_MS : STRIKES_LAST_MS;
    if (lane.strikes >= MAX_STRIKES && now - lane.struckSinceMs > limitMs && call.messages <= 1) {
      return this.#setAside(lane, call, `it was not taken in many attempts: ${error.message}`);
    }
    return lane.backoff.next();
  }

  #refused(lane: Lane, call: DeliveryCall, error: DeweyError): number {
    const { conversation } = lane;
    // It was begun already, in another try that was not heard of or with what was known of it then, or is in the trash.
    if (call.tool === "dewey_begin_conversation" && error.code === "conflict") {
      this.#settle(lane, call);
      return 0;
    }
    if (error.code === "not_found" && error.field === "conversation_id") {
      this.#options.log.warn("a conversation was deleted for good; what is recorded of it is dropped", {
        conversation,
        records: call.deliveries,
      });
      this.dropped += call.deliveries;
      this.#settle(lane, call);
      return 0;
    }
    if (call.messages > 1) {
      lane.most = Math.ceil(call.messages / 2);
      return 0;
    }
    return this.#setAside(lane, call, error.message);
  }

  #setAside(lane: Lane, call: DeliveryCall, reason: string): number {
    const { setAside, log } = this.#options;
    const { conversation } = lane;
    try {
      setAside.add(call.tool, call.args, reason);
    } catch (error) {
      log.error("a record that the store refuses cannot be set aside either; it is tried again", {
        conversation,
        error,
      });
      return LONGEST_PAUSE_MS;
    }
    log.error("the store refuses a record; it is set aside", { conversation, reason, file: setAside.file });
    this.aside += 1;
    this.#settle(lane, call);
    return 0;
  }

  #settle(lane: Lane, call: DeliveryCall): void {
    lane.most *= 2;
    lane.strikes = 0;
    lane.backoff.reset();
    for (const parcel of lane.parcels.splice(0, call.deliveries)) {
      lane.characters -= parcel.characters;
      this.#characters -= parcel.characters;
      this.#count -= 1;
      parcel.settled();
    }
    if (this.isFull) return;
    this.#roomy.resolve();
    this.#roomy = Promise.withResolvers();
  }

  /** Nobody sends for a while. */
  #pause(error: DeweyError): void {
    // Said once, not at every attempt: the store may be away for days.
    if (!this.#away) this.#options.log.warn("nothing can be delivered; what is recorded waits on disk", { error });
    // Of several calls that fail together the first begins the pause.
    if (this.#away?.isPausing) return;
    const away = { backoff: this.#away?.backoff ?? newBackoff(), isPausing: true };
    this.#away = away;
    setTimeout(() => {
      away.isPausing = false;
      this.#pump();
    }, away.backoff.next()).unref();
  }
}

function newLane(conversation: string, parcel: Parcel): Lane {
  return {
    conversation,
    parcels: [parcel],
    characters: parcel.characters,
    backoff: newBackoff(),
    most: Infinity,
    strikes: 0,
    struckSinceMs: 0,
    takenAtFailure: undefined,
  };
}

function newBackoff(): Backoff {
  return new Backoff({ firstMs: FIRST_PAUSE_MS, longestMs: LONGEST_PAUSE_MS, jitter: Math.random });
}
