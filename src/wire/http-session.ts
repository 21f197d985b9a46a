import { EventBody } from "./event-body.ts";
import { errorFrame, viewFrame } from "./frame.ts";
import type { FrameView } from "./frame.ts";
import { Inbox } from "./inbox.ts";
import { HIGH_WATER_BYTES } from "./limits.ts";
import type { Link, LinkHandlers } from "./link.ts";
import { Replay } from "./replay.ts";
import { SessionStream } from "./session-stream.ts";
import type { AnswerForm } from "./session-stream.ts";
import { SessionStreams } from "./session-streams.ts";
import { SSE_COMMENT, sseEvent } from "./sse.ts";

/**
 * How long the head of a response waits for the first frame: as long as most calls take. A client whose connection breaks in
 * this time cannot resume, and some give up when they see no head for long.
 */
const HEAD_PATIENCE_MS = 2000;
/** Limit on cancelled requests whose late answers are dropped. */
const MAX_CANCELLED = 1000;
const METHOD_NOT_FOUND = -32_601;

/**
 * One session of a Streamable HTTP client as a link. Frames pass unchanged, as text, each on the stream that it belongs to.
 *
 * It also carries the requests of one client that stand alone (2026-07-28), until the client initializes, if it does.
 */
export class HttpSessionLink implements Link {
  readonly wire = "http";
  readonly id = crypto.randomUUID();
  /** When the client last sent a request or closed a stream, by `performance.now()`. */
  usedMs = performance.now();
  readonly #inbox = new Inbox();
  readonly #replay = new Replay();
  readonly #streams = new SessionStreams();
  /** Keys of requests that stood alone and were cancelled. */
  readonly #cancelled = new Set<string>();
  readonly #options: { ended(): void; stallLimitMs?: number | undefined };
  #resumed: PromiseWithResolvers<void> | undefined;
  #isFull = false;
  #headTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #receiving = new Set<Promise<unknown>>();
  isClosed = false;
  /** Whether a client has initialized. Until then it cannot be asked anything. */
  isSession = true;

  constructor(options: { ended(): void; stallLimitMs?: number | undefined }) {
    this.#options = options;
  }

  open(handlers: LinkHandlers): void {
    this.#inbox.open(handlers);
  }

  send(frame: string): boolean {
    if (this.isClosed) return true;
    const view = viewFrame(frame);
    if (view.kind === "response" && this.#cancelled.delete(view.key)) return true;
    if (view.kind === "request" && !this.isSession) {
      this.#inbox.frame(errorFrame(view.id, METHOD_NOT_FOUND, "a client without a session cannot be asked"));
      return true;
    }
    this.#write(this.#streams.of(view), view, frame);
    this.#streams.settle(view);
    this.#isFull = this.#streams.queuedBytes >= HIGH_WATER_BYTES;
    return !this.#isFull;
  }

  pause(): void {
    this.#resumed ??= Promise.withResolvers();
  }

  resume(): void {
    this.#resumed?.resolve();
    this.#resumed = undefined;
  }

  close(reason = "closed by Dewey"): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.resume();
    clearTimeout(this.#headTimer);
    for (const stream of this.#streams) {
      stream.begin("events");
      stream.body?.end();
    }
    this.#options.ended();
    this.#inbox.closed(reason);
  }

  /** Whether any stream is connected. */
  get isConnected(): boolean {
    for (const { body } of this.#streams) if (body) return true;
    return false;
  }

  /** Resolves when the next frame may be read. */
  async ready(): Promise<void> {
    await this.#resumed?.promise;
  }

  /** Notes a POST, until it is answered or its stream begins. */
  async receiving<Answer>(post: Promise<Answer>): Promise<Answer> {
    this.#receiving.add(post);
    try {
      return await post;
    } finally {
      this.#receiving.delete(post);
    }
  }

  /** Resolves when the frames of all POSTs that have begun are taken. */
  async received(): Promise<void> {
    await Promise.allSettled(this.#receiving);
  }

  /** Takes a frame without requests. */
  take(frame: string): void {
    this.#inbox.frame(frame);
  }

  /**
   * Takes a request, or a batch with requests, and returns the stream of its responses; undefined when an id is already in
   * flight. `isResumable` starts the stream with an event id, for clients that understand such an event. `begin` is called
   * once the form of the answer is known; with it, nothing may be read before.
   */
  ask(
    frame: string,
    view: FrameView,
    isResumable: boolean,
    begin?: (form: AnswerForm) => void,
  ): ReadableStream<Uint8Array> | undefined {
    const stream = new SessionStream(crypto.randomUUID());
    const body = this.#openFor(stream, view);
    if (!body) return undefined;
    if (isResumable) body.write(sseEvent(`${stream.name}/${stream.givenNumber}`, undefined));
    if (begin) this.#hold(stream, begin, HEAD_PATIENCE_MS);
    this.#inbox.frame(frame);
    return body.stream;
  }

  /**
   * Takes a request that stands alone; `begin` is called once the form of its answer is known, which a patient one waits for
   * without a limit. Returns undefined when its id is in flight. It is cancelled when its stream is.
   */
  askAlone(
    frame: string,
    view: FrameView,
    { begin, isPatient }: { begin: (form: AnswerForm) => void; isPatient: boolean },
  ): ReadableStream<Uint8Array> | undefined {
    const stream = new SessionStream(crypto.randomUUID(), true);
    const body = this.#openFor(stream, view);
    if (!body) return undefined;
    for (const key of stream.unanswered) this.#cancelled.delete(key);
    this.#hold(stream, begin, isPatient ? Infinity : HEAD_PATIENCE_MS);
    this.#inbox.frame(frame);
    return body.stream;
  }

  /** Opens the stream of a frame's responses; undefined when the id of a request is in flight. */
  #openFor(stream: SessionStream, view: FrameView): EventBody | undefined {
    stream.note(view);
    if (!this.#streams.add(stream)) return undefined;
    return this.#connect(stream, this.#replay.last);
  }

  /** Tells the server that nobody waits for these answers any more, as other wires do. */
  #cancel(stream: SessionStream): void {
    this.#streams.remove(stream);
    for (const key of stream.unanswered) {
      this.#streams.forget(key);
      this.#cancelled.add(key);
      const [oldest] = this.#cancelled;
      if (this.#cancelled.size > MAX_CANCELLED && oldest !== undefined) this.#cancelled.delete(oldest);
      if (this.isClosed) continue;
      const params = `{"requestId":${key},"reason":"the client has left"}`;
      this.#inbox.frame(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":${params}}`);
    }
    stream.unanswered.clear();
  }

  /** Opens the GET stream, with the events since it was last connected. Replaces one that is open. */
  listen(): ReadableStream<Uint8Array> {
    const body = this.#connect(this.#streams.standalone, this.#streams.standalone.givenNumber);
    // Bun sends the headers with the first bytes; without these a client would not see that its stream is open.
    body.write(SSE_COMMENT);
    return body.stream;
  }

  /** Resumes a stream after the event with this id; undefined when the stream is no longer known. */
  again(lastEventId: string): ReadableStream<Uint8Array> | undefined {
    const [name = "", number = ""] = lastEventId.split("/");
    if (!/^\d+$/.test(number)) return undefined;
    const known = this.#streams.named(name);
    if (!known && this.#replay.after(name, 0).length === 0) return undefined;
    const stream = known ?? new SessionStream(name);
    const body = this.#connect(stream, Number(number));
    body.write(SSE_COMMENT);
    if (!known) body.end();
    return body.stream;
  }

  /** Writes to idle streams: proxies in between, and Bun itself, close streams that carry nothing. */
  keepAlive(): void {
    for (const { body } of this.#streams) if (body?.queuedBytes === 0) body.write(SSE_COMMENT);
  }

  #connect(stream: SessionStream, afterNumber: number): EventBody {
    stream.body?.end();
    const body = new EventBody({
      taken: () => this.#drained(),
      over: () => {
        if (stream.body === body) stream.body = undefined;
        if (stream.standsAlone) this.#cancel(stream);
        this.usedMs = performance.now();
        this.#drained();
      },
      stallLimitMs: this.#options.stallLimitMs,
    });
    stream.body = body;
    stream.givenNumber = afterNumber;
    for (const { number, frame } of this.#replay.after(stream.name, afterNumber)) stream.give(number, frame);
    return body;
  }

  #write(stream: SessionStream, view: FrameView, frame: string): void {
    const isWhole = stream.beginWith(view, frame);
    if (stream.standsAlone) {
      if (!isWhole) stream.body?.write(sseEvent(undefined, frame));
      return;
    }
    const { number } = this.#replay.add(stream.name, frame);
    if (!isWhole) stream.give(number, frame);
  }

  /** Lets the head of a response wait for its first frame, for a while. */
  #hold(stream: SessionStream, begin: (form: AnswerForm) => void, patienceMs: number): void {
    stream.hold(begin, patienceMs);
    if (patienceMs < Infinity) this.#headTimer ??= setTimeout(() => this.#beginLate(), patienceMs);
  }

  #beginLate(): void {
    this.#headTimer = undefined;
    let nextMs = Infinity;
    for (const stream of this.#streams) {
      const leftMs = stream.patienceLeftMs;
      if (leftMs <= 0) stream.begin("events");
      else nextMs = Math.min(nextMs, leftMs);
    }
    if (nextMs < Infinity) this.#headTimer = setTimeout(() => this.#beginLate(), nextMs);
  }

  #drained(): void {
    if (!this.#isFull || this.#streams.queuedBytes >= HIGH_WATER_BYTES) return;
    this.#isFull = false;
    this.#inbox.drained();
  }
}
