import { Backoff } from "../../backoff.ts";
import { WENT_AWAY } from "../../tool-client.ts";
import type { ToolClient } from "../../tool-client.ts";
import { asDeweyError } from "../../errors.ts";
import type { DeweyError, ErrorCode } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { doing } from "../../watchdog.ts";
import { charactersOf, nextCall } from "./delivery-call.ts";
import type { DeliveryCall, SizedDelivery } from "./delivery-call.ts";
import type { Delivery } from "./record.ts";
import type { SetAside } from "./set-aside.ts";
import type { Suspects } from "./suspects.ts";

/** Limit on calls in flight, each for another conversation. */
const MAX_CALLS_IN_FLIGHT = 8;
/** Limits on records in memory. The rest waits on disk. */
const MAX_CHARACTERS = 32_000_000;
const MAX_DELIVERIES = 50_000;
/** Pauses while calls fail: doubled each time, plus as much again at random so that many proxies do not retry together. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 15_000;
/**
 * A record that fails this often and for this long while others are taken is itself at fault. The time outlasts a store that
 * comes and goes; it is shorter when the records behind the failing one fill half of the memory that all share.
 */
const MAX_STRIKES = 4;
const STRIKES_LAST_MS = 600_000;
const STRIKES_LAST_CROWDED_MS = 60_000;
/** Why a record is set aside after whose delivery the server is gone. */
const GUILTY = "the server went away three times while this record, and no other, was being delivered";
/** Error codes with which the store refuses a record for good; any other failure may be temporary. */
const refusals: ReadonlySet<ErrorCode> = new Set(["invalid", "conflict", "not_found"]);

export interface OutboxOptions {
  client: Pick<ToolClient, "call">;
  setAside: SetAside;
  suspects: Suspects;
  log: Log;
}

/** A delivery in the outbox, and the callback for when it is settled: stored, set aside or dropped. */
interface Parcel extends SizedDelivery {
  settled: () => void;
  /** Who has put it here, and may withdraw it. */
  sender: object | undefined;
}

/** The deliveries of one conversation, in order, with one call in flight at a time. */
interface Lane {
  conversation: string;
  parcels: Parcel[];
  characters: number;
  backoff: Backoff;
  /**
   * Limit on messages in one call: halved after a failure that may be one message's fault, until that message is alone, and
   * doubled after each success.
   */
  most: number;
  /** Failures since the last success while other conversations' calls were taken, and when the first of them was. */
  strikes: number;
  struckSinceMs: number;
  /** Number of calls that the store had taken when this lane's last call failed; undefined if it succeeded. */
  takenAtFailure: number | undefined;
  /**
   * Number of its first deliveries that may be why the server went away: they were in flight then. Each is sent alone, with
   * nothing else in flight.
   */
  suspects: number;
  /** Whether other calls were in flight during its last call. */
  isAccompanied: boolean;
  /** Number of its first deliveries that are in flight. */
  inFlight: number;
  /** Whether these were withdrawn: then they are sent no second time. */
  isWithdrawn: boolean;
}

/**
 * Delivers records to the store: conversations in parallel, each in its own order, with retries while the store is
 * unavailable. A record that the store refuses is set aside and blocks nothing else; records of a permanently deleted
 * conversation are dropped.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #lanes = new Map<string, Lane>();
  readonly #ready: Lane[] = [];
  readonly #inFlight = new Set<Lane>();
  #characters = 0;
  #count = 0;
  #taken = 0;
  /** Set while the store is unavailable: then one call at a time probes it. */
  #away: { backoff: Backoff; isPausing: boolean } | undefined;
  #roomy = Promise.withResolvers<void>();
  #isStopped = false;
  lastDelivery: number | undefined;
  lastError: string | undefined;
  /** Messages that the store has taken. */
  delivered = 0;
  /** Records that were set aside. */
  aside = 0;
  /** Records of permanently deleted conversations. */
  dropped = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  put(delivery: Delivery, settled: () => void, sender?: object): void {
    const parcel = { delivery, characters: charactersOf(delivery), settled, sender };
    this.#characters += parcel.characters;
    this.#count += 1;
    const known = this.#lanes.get(delivery.conversation);
    if (known) {
      known.parcels.push(parcel);
      if (this.#options.suspects.has(delivery)) known.suspects = known.parcels.length;
      known.characters += parcel.characters;
      return;
    }
    const lane = newLane(delivery.conversation, parcel);
    if (this.#options.suspects.has(delivery)) lane.suspects = 1;
    this.#lanes.set(lane.conversation, lane);
    this.#ready.push(lane);
    // Deferred to the end of this turn, so that deliveries put together go in one call.
    queueMicrotask(() => this.#pump());
  }

  /** Forgets what a sender has put here, unsettled. Calls in flight end, and are not repeated. */
  withdraw(sender: object): void {
    for (const lane of this.#lanes.values()) {
      const kept = lane.parcels.splice(0, lane.inFlight);
      lane.isWithdrawn ||= kept[0]?.sender === sender;
      for (const parcel of lane.parcels) {
        if (parcel.sender === sender) this.#forget(lane, parcel);
        else kept.push(parcel);
      }
      lane.parcels = kept;
      lane.suspects = Math.min(lane.suspects, kept.length);
    }
    this.#makeRoom();
  }

  get isFull(): boolean {
    return this.#characters >= MAX_CHARACTERS || this.#count >= MAX_DELIVERIES;
  }

  /** Resolves when there is room; never, once delivery has stopped. */
  async room(): Promise<void> {
    while (this.isFull || this.#isStopped) await this.#roomy.promise;
  }

  /** Whether no call is in flight or about to be. Deliveries that wait for a retry do not count. */
  get isQuiet(): boolean {
    return this.#inFlight.size === 0 && (this.#ready.length === 0 || this.#away !== undefined);
  }

  /** Sends nothing more, and ignores the outcome of calls in flight. */
  stop(): void {
    this.#isStopped = true;
  }

  #pump(): void {
    const most = this.#away ? 1 : MAX_CALLS_IN_FLIGHT;
    while (!this.#isStopped && !this.#away?.isPausing && this.#inFlight.size < most) {
      const lane = this.#ready[0];
      if (!lane || !this.#mayJoin(lane)) return;
      this.#ready.shift();
      for (const other of this.#inFlight) other.isAccompanied = true;
      lane.isAccompanied = this.#inFlight.size > 0;
      this.#inFlight.add(lane);
      void this.#send(lane).then((pauseMs) => {
        this.#inFlight.delete(lane);
        this.#again(lane, pauseMs);
        this.#pump();
      });
    }
  }

  /** Whether the lane's call may begin beside those in flight: a suspect goes alone. */
  #mayJoin(lane: Lane): boolean {
    const [other] = this.#inFlight;
    return other === undefined || (lane.suspects === 0 && other.suspects === 0);
  }

  /** Queues the lane's next call, now or after a pause. */
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

  /** Makes one call. Resolves with the pause before the lane's next one. */
  async #send(lane: Lane): Promise<number> {
    const call = nextCall(lane.parcels, lane.suspects > 0 ? 1 : lane.most);
    if (!call) return 0;
    lane.inFlight = call.deliveries;
    try {
      await doing("delivering records", () => this.#options.client.call(call.tool, call.args));
    } catch (thrown) {
      if (this.#isStopped) return 0;
      return lane.isWithdrawn ? this.#dropWithdrawn(lane) : this.#failed(lane, call, asDeweyError(thrown));
    } finally {
      lane.inFlight = 0;
    }
    lane.isWithdrawn = false;
    if (!this.#isStopped) this.#succeeded(lane, call);
    return 0;
  }

  /** Forgets what was withdrawn during its call, which failed. */
  #dropWithdrawn(lane: Lane): number {
    lane.isWithdrawn = false;
    for (const parcel of lane.parcels.splice(0, lane.inFlight)) this.#forget(lane, parcel);
    lane.suspects = Math.min(lane.suspects, lane.parcels.length);
    this.#makeRoom();
    return 0;
  }

  #succeeded(lane: Lane, call: DeliveryCall): void {
    this.#taken += 1;
    this.#options.suspects.taken();
    this.lastDelivery = Date.now();
    this.delivered += call.messages;
    if (this.#away) this.#options.log.info("delivery resumed");
    this.#away = undefined;
    this.lastError = undefined;
    lane.takenAtFailure = undefined;
    this.#settle(lane, call);
  }

  #failed(lane: Lane, call: DeliveryCall, error: DeweyError): number {
    if (refusals.has(error.code)) return this.#refused(lane, call, error);
    this.lastError = error.message;
    if (error.cause === WENT_AWAY && this.#isGuilty(lane, call)) return this.#setAside(lane, call, GUILTY);
    // If the store has taken other calls since this lane's last failure, the store is not what is failing.
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

  /** Whether the lane's record is why the server goes away. One call at a time tells, so the others become suspects. */
  #isGuilty(lane: Lane, call: DeliveryCall): boolean {
    const { suspects } = this.#options;
    const delivery = lane.parcels[0]?.delivery;
    const isSuspect = lane.suspects > 0;
    lane.suspects = Math.max(lane.suspects, call.deliveries);
    // Nothing was known of this call, and the server went away all the same.
    if (!isSuspect) suspects.clear();
    const isAlone = !lane.isAccompanied && call.deliveries === 1;
    return isAlone && delivery !== undefined && suspects.isGuilty(delivery, this.#lanes.size > 1);
  }

  /** Handles a failure while the store takes other conversations' records. */
  #strike(lane: Lane, call: DeliveryCall, error: DeweyError): number {
    const { conversation } = lane;
    const now = performance.now();
    if (lane.strikes === 0) {
      lane.struckSinceMs = now;
      this.#options.log.warn("the store fails on a record while it takes others", { conversation, error });
    }
    lane.strikes += 1;
    const isCrowded = 2 * lane.characters > MAX_CHARACTERS || 2 * lane.parcels.length > MAX_DELIVERIES;
    const limitMs = isCrowded ? STRIKES_LAST_CROWDED_MS : STRIKES_LAST_MS;
    if (lane.strikes >= MAX_STRIKES && now - lane.struckSinceMs > limitMs && call.messages <= 1) {
      return this.#setAside(lane, call, `it failed in repeated attempts: ${error.message}`);
    }
    return lane.backoff.next();
  }

  #refused(lane: Lane, call: DeliveryCall, error: DeweyError): number {
    const { conversation } = lane;
    // Begun by an earlier attempt whose answer was lost, perhaps with other metadata, or in the trash by now.
    if (call.tool === "dewey_begin_conversation" && error.code === "conflict") {
      this.#settle(lane, call);
      return 0;
    }
    if (error.code === "not_found" && error.field === "conversation_id") {
      this.#options.log.warn("a conversation was permanently deleted; its records are dropped", {
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
      if (setAside.add(call.tool, call.args, reason)) {
        log.error("the store refused a record; it was set aside", { conversation, reason, file: setAside.file });
        this.aside += 1;
      }
    } catch (error) {
      log.error("a refused record cannot be set aside; it will be retried", {
        conversation,
        error,
      });
      return LONGEST_PAUSE_MS;
    }
    this.#settle(lane, call);
    return 0;
  }

  #settle(lane: Lane, call: DeliveryCall): void {
    lane.most *= 2;
    lane.strikes = 0;
    lane.backoff.reset();
    lane.suspects = Math.max(0, lane.suspects - call.deliveries);
    for (const parcel of lane.parcels.splice(0, call.deliveries)) {
      this.#options.suspects.forget(parcel.delivery);
      this.#forget(lane, parcel);
      parcel.settled();
    }
    this.#makeRoom();
  }

  #forget(lane: Lane, { characters }: Parcel): void {
    lane.characters -= characters;
    this.#characters -= characters;
    this.#count -= 1;
  }

  #makeRoom(): void {
    if (this.isFull) return;
    this.#roomy.resolve();
    this.#roomy = Promise.withResolvers();
  }

  /** Pauses all lanes. */
  #pause(error: DeweyError): void {
    // Logged once, not per attempt: the store may be unavailable for days.
    if (!this.#away) this.#options.log.warn("delivery is failing; records wait on disk", { error });
    // Several calls may fail together: the first begins the pause.
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
    suspects: 0,
    isAccompanied: false,
    inFlight: 0,
    isWithdrawn: false,
  };
}

function newBackoff(): Backoff {
  return new Backoff({ firstMs: FIRST_PAUSE_MS, longestMs: LONGEST_PAUSE_MS, jitter: Math.random });
}
