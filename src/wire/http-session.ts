import { EventBody } from "./event-body.ts";
import { errorFrame, isObject, viewFrame } from "./frame.ts";
import type { FrameView, Json } from "./frame.ts";
import { Inbox } from "./inbox.ts";
import { HIGH_WATER_BYTES } from "./limits.ts";
import type { Link, LinkHandlers } from "./link.ts";
import { Replay } from "./replay.ts";
import { SSE_COMMENT, sseEvent } from "./sse.ts";

/** Name of the stream that a client opens with GET, for messages outside of requests. */
const STANDALONE = "0";

/** The events that respond to one POST, or those of the GET stream. A stream outlives its connection. */
interface Stream {
  name: string;
  /** Keys of the requests it has not answered. */
  unanswered: Set<string>;
  /** Their progress tokens: strings and numbers. Anything else matches no token. */
  progressTokens: Set<unknown>;
  /** The number of the latest event that was written to a connection. */
  givenNumber: number;
  body: EventBody | undefined;
  /** Set while the head of the response waits for the first frame. */
  held: { untilMs: number; begin(form: AnswerForm): void } | undefined;
  /** Whether its request belongs to no session: then it ends with its connection. */
  standsAlone: boolean;
}

/** How a POST is answered: with events, or, when its first frame answers it completely, with that frame. */
export type AnswerForm = "events" | { frame: FrameView };

/**
 * An answer of this length is not sent as an event if nothing else was: Python's SDK refuses events of more than 1,048,576
 * bytes. A shorter one stays below that in any script.
 */
const LONG_ANSWER_CHARACTERS = 300_000;
/**
 * How long the head of a response waits for the first frame: as long as most calls take. A client whose connection breaks in
 * this time cannot resume, and some give up when they see no head for long.
 */
const HEAD_PATIENCE_MS = 2000;
/** Limit on cancelled requests whose late answers are dropped. */
const MAX_CANCELLED = 1000;
/** In `_meta` of a notification, the id of the request for them (2026-07-28). */
const SUBSCRIPTION_KEY = "io.modelcontextprotocol/subscriptionId";
const METHOD_NOT_FOUND = -32_601;

/**
 * One session of a Streamable HTTP client as a link. Frames pass unchanged, as text. Streamable HTTP sends messages that
 * belong to a request on that request's stream: progress goes to the request with its token, and other requests and
 * notifications of the server go to the open request when there is exactly one. All else goes to the GET stream.
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
  readonly #standalone = newStream(STANDALONE);
  readonly #streams = new Map<string, Stream>([[STANDALONE, this.#standalone]]);
  readonly #byRequest = new Map<string, Stream>();
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
    this.#write(this.#streamOf(view), view, frame);
    this.#settle(view);
    this.#isFull = this.#queuedBytes() >= HIGH_WATER_BYTES;
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
    for (const stream of this.#streams.values()) {
      begin(stream, "events");
      stream.body?.end();
    }
    this.#options.ended();
    this.#inbox.closed(reason);
  }

  /** Whether any stream is connected. */
  get isConnected(): boolean {
    for (const { body } of this.#streams.values()) if (body) return true;
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
    const stream = newStream(crypto.randomUUID());
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
    const stream = newStream(crypto.randomUUID());
    stream.standsAlone = true;
    const body = this.#openFor(stream, view);
    if (!body) return undefined;
    for (const key of stream.unanswered) this.#cancelled.delete(key);
    this.#hold(stream, begin, isPatient ? Infinity : HEAD_PATIENCE_MS);
    this.#inbox.frame(frame);
    return body.stream;
  }

  /** Opens the stream of a frame's responses; undefined when the id of a request is in flight. */
  #openFor(stream: Stream, view: FrameView): EventBody | undefined {
    noteRequests(view, stream);
    if ([...stream.unanswered].some((id) => this.#byRequest.has(id))) return undefined;
    for (const id of stream.unanswered) this.#byRequest.set(id, stream);
    this.#streams.set(stream.name, stream);
    return this.#connect(stream, this.#replay.last);
  }

  /** Tells the server that nobody waits for these answers any more, as other wires do. */
  #cancel(stream: Stream): void {
    this.#streams.delete(stream.name);
    for (const key of stream.unanswered) {
      this.#byRequest.delete(key);
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
    const body = this.#connect(this.#standalone, this.#standalone.givenNumber);
    // Bun sends the headers with the first bytes; without these a client would not see that its stream is open.
    body.write(SSE_COMMENT);
    return body.stream;
  }

  /** Resumes a stream after the event with this id; undefined when the stream is no longer known. */
  again(lastEventId: string): ReadableStream<Uint8Array> | undefined {
    const [name = "", number = ""] = lastEventId.split("/");
    if (!/^\d+$/.test(number)) return undefined;
    const known = this.#streams.get(name);
    if (!known && this.#replay.after(name, 0).length === 0) return undefined;
    const stream = known ?? newStream(name);
    const body = this.#connect(stream, Number(number));
    body.write(SSE_COMMENT);
    if (!known) body.end();
    return body.stream;
  }

  /** Writes to idle streams: proxies in between, and Bun itself, close streams that carry nothing. */
  keepAlive(): void {
    for (const { body } of this.#streams.values()) if (body?.queuedBytes === 0) body.write(SSE_COMMENT);
  }

  #connect(stream: Stream, afterNumber: number): EventBody {
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
    for (const { number, frame } of this.#replay.after(stream.name, afterNumber)) give(stream, number, frame);
    return body;
  }

  #write(stream: Stream, view: FrameView, frame: string): void {
    const isLong = stream.standsAlone || frame.length >= LONG_ANSWER_CHARACTERS;
    const isWhole = stream.held !== undefined && isLong && answersAll(view, stream);
    begin(stream, isWhole ? { frame: view } : "events");
    if (isWhole) stream.body?.replace(frame);
    if (stream.standsAlone) {
      if (!isWhole) stream.body?.write(sseEvent(undefined, frame));
      return;
    }
    const { number } = this.#replay.add(stream.name, frame);
    if (!isWhole) give(stream, number, frame);
  }

  /** Lets the head of a response wait for its first frame, for a while. */
  #hold(stream: Stream, begin: (form: AnswerForm) => void, patienceMs: number): void {
    stream.held = { untilMs: performance.now() + patienceMs, begin };
    if (patienceMs < Infinity) this.#headTimer ??= setTimeout(() => this.#beginLate(), patienceMs);
  }

  #beginLate(): void {
    this.#headTimer = undefined;
    let nextMs = Infinity;
    for (const stream of this.#streams.values()) {
      const leftMs = stream.held ? stream.held.untilMs - performance.now() : Infinity;
      if (leftMs <= 0) begin(stream, "events");
      else nextMs = Math.min(nextMs, leftMs);
    }
    if (nextMs < Infinity) this.#headTimer = setTimeout(() => this.#beginLate(), nextMs);
  }

  #streamOf(view: FrameView): Stream {
    if (view.kind === "batch") return view.messages.map((each) => this.#streamOf(each)).at(-1) ?? this.#standalone;
    if (view.kind === "response") {
      const asked = this.#byRequest.get(view.key);
      if (asked) return asked;
    }
    const subscribed = this.#byRequest.get(subscriptionKey(view) ?? "");
    if (subscribed) return subscribed;
    const asking = [...this.#streams.values()].filter((stream) => stream !== this.#standalone);
    const token = progressToken(view);
    const related =
      asking.find((stream) => stream.progressTokens.has(token)) ?? (asking.length === 1 ? asking[0] : undefined);
    if (related && (related.body || !this.#standalone.body)) return related;
    // Without a GET stream the client would never see a server's request, unless it goes to some request's stream.
    return this.#standalone.body ? this.#standalone : (asking.findLast((stream) => stream.body) ?? this.#standalone);
  }

  #settle(view: FrameView): void {
    if (view.kind === "batch") for (const each of view.messages) this.#settle(each);
    if (view.kind !== "response") return;
    const id = view.key;
    const stream = this.#byRequest.get(id);
    if (!stream) return;
    this.#byRequest.delete(id);
    stream.unanswered.delete(id);
    if (stream.unanswered.size > 0) return;
    stream.body?.end();
    this.#streams.delete(stream.name);
  }

  #queuedBytes(): number {
    let sum = 0;
    for (const { body } of this.#streams.values()) sum += body?.queuedBytes ?? 0;
    return sum;
  }

  #drained(): void {
    if (!this.#isFull || this.#queuedBytes() >= HIGH_WATER_BYTES) return;
    this.#isFull = false;
    this.#inbox.drained();
  }
}

function newStream(name: string): Stream {
  return {
    name,
    unanswered: new Set(),
    progressTokens: new Set(),
    givenNumber: 0,
    body: undefined,
    held: undefined,
    standsAlone: false,
  };
}

/** Lets the response begin, if its head waits. */
function begin(stream: Stream, form: AnswerForm): void {
  stream.held?.begin(form);
  stream.held = undefined;
}

/** Whether a frame answers everything that a stream still has to answer. */
function answersAll(view: FrameView, { unanswered }: Stream): boolean {
  const answers = view.kind === "batch" ? view.messages : [view];
  const keys = new Set(answers.flatMap((each) => (each.kind === "response" ? [each.key] : [])));
  return [...unanswered].every((key) => keys.has(key));
}

function give(stream: Stream, number: number, frame: string): void {
  if (!stream.body) return;
  stream.body.write(sseEvent(`${stream.name}/${number}`, frame));
  stream.givenNumber = number;
}

function noteRequests(view: FrameView, stream: Stream): void {
  if (view.kind === "batch") for (const each of view.messages) noteRequests(each, stream);
  if (view.kind !== "request") return;
  stream.unanswered.add(view.key);
  const token = paramsOf(paramsOf(view.message, "params"), "_meta")["progressToken"];
  if (token !== undefined) stream.progressTokens.add(token);
}

/** The token of a progress notification. */
function progressToken(view: FrameView): unknown {
  const isProgress = view.kind === "notification" && view.method === "notifications/progress";
  return isProgress ? paramsOf(view.message, "params")["progressToken"] : undefined;
}

/** The key of the request that a notification is for. */
function subscriptionKey(view: FrameView): string | undefined {
  if (view.kind !== "notification") return undefined;
  const id = paramsOf(paramsOf(view.message, "params"), "_meta")[SUBSCRIPTION_KEY];
  return typeof id === "string" || typeof id === "number" ? JSON.stringify(id) : undefined;
}

function paramsOf(message: Json, name: string): Json {
  const value = message[name];
  return isObject(value) ? value : {};
}
