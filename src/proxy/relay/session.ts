import { Backoff } from "../../backoff.ts";
import { within } from "../../deadline.ts";
import { DeweyError, asDeweyError, jsonRpcCode } from "../../errors.ts";
import { errorFrame, requestIds } from "../../wire/frame.ts";
import type { FrameView, ViewedFrame } from "../../wire/frame.ts";
import type { Link } from "../../wire/link.ts";
import { outlineFrame } from "../../wire/outline.ts";
import { Handshake } from "./handshake.ts";
import { OpenRequests } from "./open-requests.ts";
import type { Tap } from "./tap.ts";

/** What is told of a client's requests, and of what the client is answered. */
export interface RequestWatch {
  asked(view: FrameView): void;
  answered(view: FrameView): void;
}

export interface SessionOptions {
  downstream: Link;
  /** For what the client is told. */
  upstreamName: string;
  /** Connects to the upstream; what it throws is told to the client. Called again whenever the upstream is gone. */
  dial(): Promise<Link>;
  tap: Tap;
  watch?: RequestWatch;
  /** Told when the upstream is there and when it is not, with the reason. */
  onUpstream(reason: string | undefined): void;
}

/** Pauses between attempts to connect, doubled each time: a server that is starting is there soon, one that loops is not. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 15_000;
/** A connection that lasted so long does not belong to a loop of failures. */
const STABLE_MS = 5000;
/** How long frames wait for an upstream that is not there: long enough for one that restarts. */
const WAIT_LIMIT_MS = 5000;
/** What may wait; then the client is read no further. */
const MAX_WAITING_FRAMES = 1000;
const MAX_WAITING_CHARACTERS = 16_000_000;
/** How long a client's last questions may take, and how often it is looked whether they are answered. */
const ANSWER_GRACE_MS = 30_000;
const ANSWER_POLL_MS = 10;
/** How long a server may take to answer when it is initialized again. */
const REPLAY_DEADLINE_MS = 10_000;

/**
 * Relays every frame between a client and its server, as it came. Resolves when the client has left. When the server is
 * gone, what it owes the client is answered with an error, since a call that may have run is never sent again; the server
 * is connected anew, told again what the client told it, and the client stays where it is.
 */
export function runSession(options: SessionOptions): Promise<void> {
  return new Session(options).over;
}

class Session {
  readonly #options: SessionOptions;
  readonly #open = new OpenRequests();
  /** What the upstream has asked the client, and what one that is gone has asked it. */
  readonly #questions = new OpenRequests();
  readonly #staleQuestions = new OpenRequests();
  readonly #handshake = new Handshake();
  readonly #over = Promise.withResolvers<void>();
  /** Set while frames may go up. */
  #upstream: Link | undefined;
  /** The upstream that is being initialized again. */
  #replaying: { link: Link; id: string; done: PromiseWithResolvers<void> } | undefined;
  #waiting: ViewedFrame[] = [];
  #waitingCharacters = 0;
  /** Frames that the tap has not passed yet. */
  #passing = 0;
  /** Since when there is no upstream, and why. */
  #outage: { sinceMs: number; error: DeweyError } | undefined;
  #isOver = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    options.downstream.open({
      frame: (text) => this.#hear(text),
      drained: () => (this.#upstream ?? this.#replaying?.link)?.resume(),
      closed: (reason) => void this.#leave(reason),
    });
    void this.#keepConnected();
  }

  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** Connects, again and again, for as long as the client is there. */
  async #keepConnected(): Promise<void> {
    const backoff = new Backoff({ firstMs: FIRST_PAUSE_MS, longestMs: LONGEST_PAUSE_MS, jitter: Math.random });
    while (!this.#isOver) {
      const startedMs = performance.now();
      const error = await this.#connection();
      if (this.#isOver) return;
      // A connection that lasted was a good one: the next attempt is no part of a loop.
      if (performance.now() - startedMs > STABLE_MS) backoff.reset();
      this.#outage = { sinceMs: this.#outage?.sinceMs ?? performance.now(), error };
      this.#options.onUpstream(error.message);
      this.#refuseOpen(error);
      this.#takeBackQuestions(error);
      this.#refuseWaitingInTime();
      await within(backoff.next(), this.over, () => {});
    }
  }

  /** One connection from its beginning to its end, and why it ended, or why there was none. */
  async #connection(): Promise<DeweyError> {
    let link: Link;
    try {
      link = await this.#options.dial();
    } catch (error) {
      return asDeweyError(error);
    }
    const ended = Promise.withResolvers<string>();
    let isOpen = true;
    link.open({
      // What comes after the end belongs to calls that have been refused by then.
      frame: (text) => {
        if (isOpen) this.#goDown(text, link);
      },
      drained: () => this.#options.downstream.resume(),
      closed: (reason) => {
        isOpen = false;
        // At once, so that a frame that comes next waits for another upstream instead of being lost on this one.
        this.#upstream = undefined;
        this.#replaying = undefined;
        ended.resolve(reason);
      },
    });
    if (this.#isOver) link.close();
    else await Promise.race([this.#introduce(link), ended.promise]);
    const reason = await ended.promise;
    const message = `the upstream ${this.#options.upstreamName} is gone: ${reason}`;
    return new DeweyError("unavailable", message);
  }

  /** Tells a new upstream what the client has told the one before, and lets frames go up. */
  async #introduce(link: Link): Promise<void> {
    const initialize = this.#handshake.initializeAgain();
    if (initialize) {
      const done = Promise.withResolvers<void>();
      this.#replaying = { link, id: initialize.id, done };
      link.send(initialize.frame);
      if ((await within(REPLAY_DEADLINE_MS, done.promise, () => "late" as const)) === "late") {
        link.close();
        return;
      }
      for (const frame of this.#handshake.restAgain()) link.send(frame);
    }
    this.#replaying = undefined;
    if (this.#isOver) return;
    this.#upstream = link;
    this.#outage = undefined;
    this.#options.onUpstream(undefined);
    for (const frame of this.#takeWaiting()) this.#goUp(frame);
    if (initialize) for (const frame of this.#handshake.listChanges()) this.#options.downstream.send(frame);
  }

  /** Hears the client, through the tap. */
  #hear(text: string): void {
    this.#passing += 1;
    const frame = { text, view: outlineFrame(text) };
    this.#options.tap.frame("up", frame, () => {
      this.#passing -= 1;
      this.#options.watch?.asked(frame.view);
      this.#goUp(frame);
    });
  }

  #goUp(frame: ViewedFrame): void {
    const { text, view } = frame;
    if (view.kind === "response" && this.#staleQuestions.has(view.key)) {
      // Whoever asked is gone, and another may ask something else by the same id.
      this.#staleQuestions.answered(view);
      return;
    }
    if (!this.#upstream) {
      this.#wait(frame);
      return;
    }
    // A peer that reads slower than the other sends pauses the other.
    if (!this.#upstream.send(text)) this.#options.downstream.pause();
    this.#open.asked(view);
    this.#questions.answered(view);
    this.#handshake.sent(view);
  }

  #goDown(text: string, link: Link): void {
    const view = outlineFrame(text);
    if (this.#handshake.isReplay(view)) {
      if (view.kind === "response" && view.id === this.#replaying?.id) this.#replaying?.done.resolve();
      return;
    }
    // Settled now and not when the tap has passed it: should the upstream end meanwhile, its call has had an answer.
    this.#settle(view);
    this.#tell({ text, view }, link);
  }

  /** Sends to the client through the tap. */
  #tell(frame: ViewedFrame, link?: Link): void {
    this.#passing += 1;
    this.#options.tap.frame("down", frame, () => {
      this.#passing -= 1;
      if (!this.#options.downstream.send(frame.text)) link?.pause();
      this.#options.watch?.answered(frame.view);
    });
  }

  #settle(view: FrameView): void {
    this.#open.answered(view);
    this.#questions.asked(view);
    this.#staleQuestions.forget(view);
    if (this.#handshake.isPending) this.#handshake.received(view);
  }

  #wait(frame: ViewedFrame): void {
    this.#waiting.push(frame);
    this.#waitingCharacters += frame.text.length;
    if (this.#waiting.length >= MAX_WAITING_FRAMES || this.#waitingCharacters >= MAX_WAITING_CHARACTERS) {
      this.#options.downstream.pause();
    }
    this.#refuseWaitingInTime();
  }

  #takeWaiting(): ViewedFrame[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingCharacters = 0;
    this.#options.downstream.resume();
    return waiting;
  }

  /** The calls that were under way: they may have run, and nobody else will answer them. */
  #refuseOpen(error: DeweyError): void {
    this.#handshake.forget();
    for (const id of this.#open.takeAll()) this.#answer(id, error);
  }

  #refuseWaiting(error: DeweyError): void {
    for (const { view } of this.#takeWaiting()) {
      this.#handshake.unsent(view);
      for (const id of requestIds(view)) this.#answer(id, error);
    }
  }

  /** What the client was asked, nobody wants to know any more. */
  #takeBackQuestions(error: DeweyError): void {
    for (const requestId of this.#questions.takeAll()) {
      this.#staleQuestions.add(requestId);
      const params = { requestId, reason: error.message };
      const text = JSON.stringify({ jsonrpc: "2.0", method: "notifications/cancelled", params });
      this.#tell({ text, view: outlineFrame(text) });
    }
  }

  /** Frames may wait for a while, but for what does not get better by waiting. */
  #refuseWaitingInTime(): void {
    const { sinceMs = 0, error } = this.#outage ?? {};
    if (error === undefined) return;
    const leftMs = error.code === "unavailable" ? sinceMs + WAIT_LIMIT_MS - performance.now() : 0;
    if (leftMs <= 0) this.#refuseWaiting(error);
    else setTimeout(() => this.#refuseWaitingInTime(), leftMs).unref();
  }

  #answer(id: unknown, error: DeweyError): void {
    const text = errorFrame(id, jsonRpcCode(error.code), error.message);
    this.#tell({ text, view: outlineFrame(text) });
  }

  /** A client that has closed its stdin still reads its stdout: what it has asked is answered first. */
  async #leave(reason: string): Promise<void> {
    const deadlineMs = performance.now() + ANSWER_GRACE_MS;
    const { downstream } = this.#options;
    while (
      downstream.wire === "stdio" &&
      this.#open.size + this.#waiting.length + this.#passing > 0 &&
      performance.now() < deadlineMs
    ) {
      await Bun.sleep(ANSWER_POLL_MS);
    }
    this.#end(reason);
    downstream.close();
  }

  #end(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.tap.closed(`the client has left: ${reason}`);
    (this.#upstream ?? this.#replaying?.link)?.close("the client has left");
    this.#over.resolve();
  }
}
