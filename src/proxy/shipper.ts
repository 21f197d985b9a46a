import { appendFileSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "../client.ts";
import { asDeweyError } from "../errors.ts";
import type { Log } from "../log.ts";
import { MAX_FRAME_BYTES } from "../wire/frame.ts";
import { Recorder } from "./record.ts";
import type { Delivery, RecordedMessage } from "./record.ts";
import { Segment, Spool } from "./spool.ts";

/** Messages of one bulk call, and their characters: large enough to be quick, small enough to be sent again. */
const MAX_BATCH_MESSAGES = 500;
const MAX_BATCH_CHARACTERS = 4_000_000;
/** Conversations that are delivered side by side. */
const MAX_CONVERSATIONS_IN_FLIGHT = 8;
/** Pauses while the store is away: doubled each time, with as much again at random so that many proxies do not agree. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 15_000;
/** A segment that is delivered to its end is replaced when it is larger than this. */
const ROTATE_BYTES = 8 * 1024 * 1024;
/** How often segments of proxies that are no more are looked for. */
const ADOPT_INTERVAL_MS = 30_000;
/** What a JSON-RPC call adds around a message. */
const CALL_OVERHEAD_CHARACTERS = 1000;

const SET_ASIDE_FILE = "set-aside.jsonl";

export interface ShipperOptions {
  folder: string;
  client: Client;
  log: Log;
}

/** How the recorder is. */
export interface RecorderHealth {
  /** Bytes that are not delivered yet. */
  queued_bytes: number;
  last_delivery: string | null;
  /** Why the last attempt failed; null when it did not. */
  last_error: string | null;
  delivered_messages: number;
  lost_frames: number;
  set_aside: number;
}

/** Brings what the spool holds to Dewey, in order, as long as it takes. */
export class Shipper {
  readonly spool: Spool;
  readonly #options: ShipperOptions;
  readonly #recorder = new Recorder();
  #offset = 0;
  #running: Promise<void> | undefined;
  #stopping = new AbortController();
  #adoption: ReturnType<typeof setInterval> | undefined;
  #adopting: Promise<void> = Promise.resolve();
  #lastDelivery: number | undefined;
  #lastError: string | undefined;
  #delivered = 0;
  #setAside = 0;

  constructor(options: ShipperOptions) {
    this.#options = options;
    this.spool = new Spool(options.folder, options.log, () => this.#wake());
  }

  /** Begins to look for what earlier proxies have left. */
  start(): void {
    const adopt = () => {
      this.#adopting = this.#adopting.then(() => this.#adopt());
    };
    adopt();
    this.#adoption = setInterval(adopt, ADOPT_INTERVAL_MS);
  }

  /** Gives delivery so long, and leaves the rest for the next proxy. */
  async stop(graceMs: number): Promise<void> {
    clearInterval(this.#adoption);
    this.spool.flush();
    const timer = setTimeout(() => this.#stopping.abort(), graceMs);
    await this.#running;
    this.#stopping.abort();
    await this.#adopting;
    clearTimeout(timer);
    const { segment } = this.spool;
    if (!segment) return;
    if (this.#offset === segment.bytes) segment.remove();
    else segment.release();
  }

  health(): RecorderHealth {
    return {
      queued_bytes: (this.spool.segment?.bytes ?? 0) - this.#offset,
      last_delivery: this.#lastDelivery === undefined ? null : new Date(this.#lastDelivery).toISOString(),
      last_error: this.#lastError ?? null,
      delivered_messages: this.#delivered,
      lost_frames: this.spool.lostFrames,
      set_aside: this.#setAside,
    };
  }

  /** One run at a time follows the segment to its end. */
  #wake(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // An entry may have come between the last reading and now.
      if (this.#isBehind() && !this.#stopping.signal.aborted) this.#wake();
    });
  }

  #isBehind(): boolean {
    return this.#offset < (this.spool.segment?.bytes ?? 0);
  }

  async #run(): Promise<void> {
    for (let { segment } = this.spool; segment && this.#isBehind(); { segment } = this.spool) {
      this.#offset = await this.#ship(segment, this.#offset, this.#recorder);
      if (this.#stopping.signal.aborted) return;
      this.#rotate();
    }
  }

  /** Delivers a piece of a segment and answers where the next begins. */
  async #ship(segment: Segment, offset: number, recorder: Recorder): Promise<number> {
    const { entries, next } = segment.read(offset);
    await this.#deliver(entries.flatMap((entry) => recorder.take(entry)));
    return this.#stopping.signal.aborted ? offset : next;
  }

  /** Nothing is left in the segment that the state does not say: only then is it safe to let go of it. */
  #rotate(): void {
    const { segment } = this.spool;
    if (!segment || this.#offset < ROTATE_BYTES || this.#isBehind() || this.spool.hasPending) return;
    try {
      this.spool.rotate(this.#recorder.state())?.remove();
      this.#offset = this.spool.segment?.bytes ?? 0;
    } catch (error) {
      this.#options.log.warn("the spool could not begin a new segment; it goes on with the old one", { error });
    }
  }

  async #adopt(): Promise<void> {
    let segments: Segment[];
    try {
      segments = Segment.adopt(this.#options.folder);
    } catch (error) {
      this.#options.log.warn("the spool folder cannot be read", { folder: this.#options.folder, error });
      return;
    }
    for (const segment of segments) {
      if (this.#stopping.signal.aborted) segment.release();
      else await this.#deliverLeft(segment);
    }
  }

  async #deliverLeft(segment: Segment): Promise<void> {
    const recorder = new Recorder();
    let offset = 0;
    for (let last = -1; offset !== last && !this.#stopping.signal.aborted;) {
      last = offset;
      offset = await this.#ship(segment, offset, recorder);
    }
    await this.#deliver(recorder.abandon());
    if (this.#stopping.signal.aborted) segment.release();
    else segment.remove();
    this.#options.log.info("delivered what an earlier proxy has left", { file: segment.file, bytes: offset });
  }

  /** Conversations side by side, each in its own order. Returns when all is stored or set aside, or on stopping. */
  async #deliver(deliveries: Delivery[]): Promise<void> {
    const byConversation = Map.groupBy(deliveries, (delivery) => delivery.conversation);
    const waiting = [...byConversation.values()];
    const worker = async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        for (const call of calls(next)) await this.#call(call);
      }
    };
    await Promise.all(Array.from({ length: MAX_CONVERSATIONS_IN_FLIGHT }, worker));
  }

  /** One call, again and again while the store is away. What the store refuses for good is set aside. */
  async #call(call: Call): Promise<void> {
    for (
      let pauseMs = FIRST_PAUSE_MS;
      !this.#stopping.signal.aborted;
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)
    ) {
      try {
        await this.#options.client.call(call.tool, call.args);
        this.#lastDelivery = Date.now();
        if (this.#lastError !== undefined) this.#options.log.info("delivery goes on");
        this.#lastError = undefined;
        this.#delivered += call.messages.length;
        return;
      } catch (thrown) {
        const error = asDeweyError(thrown);
        if (error.code !== "unavailable") return this.#refused(call, error.message);
        // Said once, not at every attempt: the store may be away for days.
        if (this.#lastError === undefined)
          this.#options.log.warn("nothing can be delivered; what is recorded waits on disk", { error });
        this.#lastError = error.message;
      }
      await this.#pause(pauseMs + Math.random() * pauseMs);
    }
  }

  /** Of a refused batch only the message that is at fault is set aside. */
  async #refused(call: Call, reason: string): Promise<void> {
    if (call.messages.length > 1) {
      for (const message of call.messages) await this.#call(bulk(call.conversation, [message]));
      return;
    }
    this.#setAside += 1;
    this.#options.log.error("the store refuses a record; it is set aside", {
      conversation: call.conversation,
      reason,
      file: join(this.#options.folder, SET_ASIDE_FILE),
    });
    const line = JSON.stringify({ time: new Date().toISOString(), reason, tool: call.tool, arguments: call.args });
    try {
      appendFileSync(join(this.#options.folder, SET_ASIDE_FILE), `${line}\n`, { mode: 0o600 });
    } catch (error) {
      this.#options.log.error("a refused record could not be kept either", { error });
    }
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#stopping;
    const stopped = Promise.withResolvers<void>();
    const stop = () => stopped.resolve();
    signal.addEventListener("abort", stop, { once: true });
    await Promise.race([Bun.sleep(ms), stopped.promise]);
    signal.removeEventListener("abort", stop);
  }
}

/** One call of a tool, and the messages that it brings. */
interface Call {
  tool: string;
  conversation: string;
  args: Record<string, unknown>;
  messages: RecordedMessage[];
}

/** The calls that bring one conversation's deliveries, in their order. */
function calls(deliveries: Delivery[]): Call[] {
  const result: Call[] = [];
  let batch: RecordedMessage[] = [];
  let characters = 0;
  const conversation = deliveries[0]?.conversation ?? "";
  const finish = () => {
    if (batch.length > 0) result.push(bulk(conversation, batch));
    batch = [];
    characters = 0;
  };
  for (const delivery of deliveries) {
    if (delivery.kind !== "message") {
      finish();
      result.push(delivery.kind === "begin" ? beginning(delivery) : fiedlerResult(delivery));
      continue;
    }
    const size = delivery.message.content.length + JSON.stringify(delivery.message.metadata).length;
    if (batch.length === MAX_BATCH_MESSAGES || characters + size > MAX_BATCH_CHARACTERS) finish();
    batch.push(fitting(delivery.message));
    characters += size;
  }
  finish();
  return result;
}

/**
 * A content that came in the largest of frames may not fit into a call to the store, when JSON writes it longer than it
 * came. Such a message says so, and its content is cut: nothing larger can be stored.
 */
function fitting(message: RecordedMessage): RecordedMessage {
  const most = MAX_FRAME_BYTES - CALL_OVERHEAD_CHARACTERS;
  if (message.content.length * 6 <= most || Buffer.byteLength(JSON.stringify(message)) <= most) return message;
  const content = message.content.slice(0, Math.floor(most / 12)).toWellFormed();
  return { ...message, content, metadata: { ...message.metadata, cut_from_characters: message.content.length } };
}

function bulk(conversation: string, messages: RecordedMessage[]): Call {
  return {
    tool: "dewey_store_messages_bulk",
    conversation,
    args: { conversation_id: conversation, messages },
    messages,
  };
}

function beginning(delivery: Delivery & { kind: "begin" }): Call {
  const { conversation, sessionKey, metadata } = delivery;
  return {
    tool: "dewey_begin_conversation",
    conversation,
    args: { conversation_id: conversation, ...(sessionKey === undefined ? {} : { session_id: sessionKey }), metadata },
    messages: [],
  };
}

function fiedlerResult(delivery: Delivery & { kind: "result" }): Call {
  return {
    tool: "dewey_store_fiedler_result",
    conversation: delivery.conversation,
    args: { ...delivery.result },
    messages: [],
  };
}
