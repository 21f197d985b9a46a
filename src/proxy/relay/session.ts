import { Backoff } from "../../backoff.ts";
import { within } from "../../deadline.ts";
import { DeweyError, asDeweyError, jsonRpcCode } from "../../errors.ts";
import { errorFrame, requestIds } from "../../wire/frame.ts";
import type { FrameView, ViewedFrame } from "../../wire/frame.ts";
import type { Link } from "../../wire/link.ts";
import { outlineFrame } from "../../wire/outline.ts";
import { AnsweredRequests } from "./answered-requests.ts";
import type { RequestWatch } from "./call-watch.ts";
import { Handshake, refusalIn } from "./handshake.ts";
import { OpenRequests } from "./open-requests.ts";
import { Questions } from "./questions.ts";
import type { Tap } from "./tap.ts";
import { WaitingFrames } from "./waiting-frames.ts";

export interface SessionOptions {
  downstream: Link;
  /** Named in the errors that the client receives. */
  upstreamName: string;
  /** Connects to the upstream. Called again after each lost connection; the client receives the message of its error. */
  dial(): Promise<Link>;
  tap: Tap;
  watch?: RequestWatch;
  /** Called with undefined when the upstream is connected, and with the reason when it is not. */
  onUpstream(reason: string | undefined): void;
  /** Ends the session when the upstream, a command, cannot start or ends before it has sent a frame. */
  endsUnlessStarted?: boolean;
  /** Whether the upstream was closed to be dialled again only when the client sends a frame. */
  isResting?: () => boolean;
  /** Ends the session when it resolves, whatever is in flight. */
  stopped?: Promise<void>;
}

/** A command that did not start, and its exit code, as shells have it. */
export interface FailedStart {
  message: string;
  exitCode: number;
}

/** Pauses between connection attempts, doubled each time: short for a server that is starting, long for one that keeps crashing. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 15_000;
/** A connection that took frames for this long was not part of a crash loop: the pauses start over. */
const STABLE_MS = 5000;
/** How long frames wait during an outage: long enough for an upstream to restart. */
const WAIT_LIMIT_MS = 5000;
/** How long the last frames of a client that has left may take to go on, and the poll interval. */
const LAST_FRAMES_LIMIT_MS = 30_000;
const LAST_FRAMES_POLL_MS = 10;
/** How long a command that did not start waits for the client's first request, so that its error reaches the client. */
const FIRST_REQUEST_LIMIT_MS = 500;
/** Exit codes of shells for a command that cannot be run, and for one that does not exist. */
const CANNOT_RUN = 126;
const NOT_FOUND = 127;
/**
 * How long a new upstream may take to answer the replayed initialize, or twice as long as the first one took. A command may
 * have to be downloaded again; a server that is listening answers soon, or is reached better by another connection.
 */
const REPLAY_LIMIT_MS = 10_000;
const COMMAND_REPLAY_LIMIT_MS = 300_000;

/**
 * Relays frames between a client and its upstream, unchanged. Resolves when the session is over: the client has left, or the
 * upstream is a command that did not start. When the upstream is lost,
 * its open requests are answered with an error: a call that may have run is never repeated. The session then reconnects
 * and replays the client's handshake and subscriptions; the client keeps its connection.
 */
export function runSession(options: SessionOptions): Promise<FailedStart | undefined> {
  return new Session(options).over;
}

/** When an upstream began to take frames, or why it did not. */
interface Introduced {
  openedMs?: number;
  refusal?: string;
}

class Session {
  readonly #options: SessionOptions;
  readonly #open = new OpenRequests();
  readonly #answered = new AnsweredRequests();
  readonly #questions = new Questions();
  /** Requests that a lost session gave back; each is sent only once more. */
  readonly #repeated = new OpenRequests();
  readonly #handshake = new Handshake();
  readonly #over = Promise.withResolvers<FailedStart | undefined>();
  readonly #firstRequest = Promise.withResolvers<void>();
  /** Whether any upstream has sent a frame. */
  #hasStarted = false;
  /** Set while frames may go to the upstream. */
  #upstream: Link | undefined;
  /** The new upstream during the replayed handshake. */
  #replaying: { link: Link; id: string; done: PromiseWithResolvers<string | undefined> } | undefined;
  /** Set while the upstream rests. */
  #woken: PromiseWithResolvers<void> | undefined;
  readonly #waiting = new WaitingFrames();
  /** Frames that the tap holds. */
  #passing = 0;
  /** When the current outage began, and its latest reason. */
  #outage: { sinceMs: number; error: DeweyError } | undefined;
  #isOver = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    options.downstream.open({
      frame: (text) => this.#hear(text),
      drained: () => (this.#upstream ?? this.#replaying?.link)?.resume(),
      closed: (reason) => void this.#leave(reason),
    });
    void options.stopped?.then(() => this.#end("the proxy is stopping"));
    void this.#keepConnected();
  }

  get over(): Promise<FailedStart | undefined> {
    return this.#over.promise;
  }

  /** Keeps an upstream connected until the client leaves. */
  async #keepConnected(): Promise<void> {
    const backoff = new Backoff({ firstMs: FIRST_PAUSE_MS, longestMs: LONGEST_PAUSE_MS, jitter: Math.random });
    while (!this.#isOver) {
      const { error, exitCode, openedMs } = await this.#connection();
      if (this.#isOver) return;
      if (this.#options.endsUnlessStarted === true && !this.#hasStarted && exitCode !== undefined) {
        await this.#failToStart(error, exitCode);
        return;
      }
      if (this.#options.isResting?.() === true) {
        // Subscriptions are open still; their clients subscribe again.
        this.#refuseOpen(error);
        this.#takeBackQuestions(error);
        await this.#nextFrame();
        continue;
      }
      if (openedMs !== undefined && performance.now() - openedMs > STABLE_MS) backoff.reset();
      this.#outage = { sinceMs: this.#outage?.sinceMs ?? performance.now(), error };
      this.#options.onUpstream(error.message);
      this.#refuseOpen(error);
      this.#takeBackQuestions(error);
      this.#refuseWaitingInTime();
      await within(backoff.next(), this.over, () => {});
    }
  }

  /**
   * Runs one connection to its end. Resolves with the reason why it ended or could not be made, and the time from which it
   * took frames.
   */
  async #connection(): Promise<{ error: DeweyError; exitCode?: number | undefined; openedMs?: number | undefined }> {
    let link: Link;
    try {
      link = await this.#options.dial();
    } catch (thrown) {
      const error = asDeweyError(thrown);
      return { error, exitCode: error.code === "not_found" ? NOT_FOUND : CANNOT_RUN };
    }
    const ended = Promise.withResolvers<{ reason: string; exitCode: number | undefined }>();
    let isOpen = true;
    link.open({
      // Frames that arrive after the end answer calls that have been refused by then.
      frame: (text) => {
        if (isOpen && !this.#isOver) this.#goDown(text, link);
      },
      drained: () => this.#options.downstream.resume(),
      unsent: (text) => {
        if (isOpen && !this.#isOver) this.#takeBack(text);
      },
      closed: (reason, exitCode) => {
        isOpen = false;
        // Right away, so that the next frame waits for another upstream instead of being lost on this one.
        this.#upstream = undefined;
        this.#replaying = undefined;
        ended.resolve({ reason, exitCode });
      },
    });
    const introduced = this.#isOver ? {} : await Promise.race([this.#introduce(link), ended.promise.then(() => ({}))]);
    const { openedMs, refusal }: Introduced = introduced;
    if (openedMs === undefined) link.close(refusal);
    const { reason, exitCode } = await ended.promise;
    const message = `the upstream ${this.#options.upstreamName} is gone: ${refusal ?? reason}`;
    return { error: new DeweyError("unavailable", message), exitCode, openedMs };
  }

  /** Answers the client's first request, if it comes, and ends the session, as the command itself would end. */
  async #failToStart(error: DeweyError, exitCode: number): Promise<void> {
    this.#options.onUpstream(error.message);
    await within(FIRST_REQUEST_LIMIT_MS, this.#firstRequest.promise, () => {});
    this.#refuseOpen(error);
    this.#refuseWaiting(error);
    while (this.#passing > 0) await Bun.sleep(LAST_FRAMES_POLL_MS);
    await this.#end(error.message, "", { message: error.message, exitCode });
  }

  /** Resolves when a frame waits for the upstream, or the session is over. */
  async #nextFrame(): Promise<void> {
    this.#woken = Promise.withResolvers();
    if (this.#waiting.size === 0) await Promise.race([this.#woken.promise, this.over]);
    this.#woken = undefined;
  }

  /** Replays the client's handshake to a new upstream, then opens it for frames. */
  async #introduce(link: Link): Promise<Introduced> {
    const initialize = this.#handshake.initializeAgain();
    if (initialize) {
      const done = Promise.withResolvers<string | undefined>();
      this.#replaying = { link, id: initialize.id, done };
      link.send(initialize.frame);
      const leastMs = link.wire === "stdio" ? COMMAND_REPLAY_LIMIT_MS : REPLAY_LIMIT_MS;
      const limitMs = Math.max(leastMs, 2 * this.#handshake.answeredInMs);
      const late = () => `it did not answer initialize within ${Math.round(limitMs / 1000)} seconds`;
      const refusal = await within(limitMs, done.promise, late);
      if (refusal !== undefined) return { refusal };
      for (const frame of this.#handshake.restAgain()) link.send(frame);
    }
    this.#replaying = undefined;
    if (this.#isOver) return {};
    const openedMs = performance.now();
    this.#upstream = link;
    this.#outage = undefined;
    this.#options.onUpstream(undefined);
    for (const frame of this.#takeWaiting()) this.#goUp(frame);
    if (initialize) for (const frame of this.#handshake.listChanges()) this.#options.downstream.send(frame);
    return { openedMs };
  }

  /** Takes a frame from the client through the tap. */
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
    this.#firstRequest.resolve();
    if (this.#questions.answersStale(view)) return;
    if (!this.#upstream) {
      this.#wait(frame);
      return;
    }
    // Noted before it is sent: a link whose session is lost gives the frame back at once, and then the call is not open.
    this.#answered.asked(view, this.#open);
    this.#open.asked(view);
    this.#questions.answered(view);
    this.#handshake.sent(view);
    // Backpressure: a slow upstream pauses the client.
    if (!this.#upstream.send(text)) this.#options.downstream.pause();
  }

  /** Keeps a frame for the next upstream that this one did not take. A second time, the end of the link refuses it. */
  #takeBack(text: string): void {
    const view = outlineFrame(text);
    if (this.#handshake.isReplayed(view) || requestIds(view).some((id) => this.#repeated.has(JSON.stringify(id))))
      return;
    this.#repeated.asked(view);
    this.#open.forget(view);
    this.#wait({ text, view });
  }

  #goDown(text: string, link: Link): void {
    this.#hasStarted = true;
    const view = outlineFrame(text);
    if (this.#handshake.isReplay(view)) {
      if (view.kind === "response" && view.id === this.#replaying?.id) this.#replaying?.done.resolve(refusalIn(view));
      return;
    }
    // An answer may come late on another stream, or be replayed on one, after the call was answered or refused.
    if (this.#answered.isRepetition(view)) return;
    // Settled before the tap passes it: if the upstream ends in between, the call must not be refused as well.
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
    this.#answered.answered(view);
    this.#repeated.answered(view);
    this.#questions.asked(view);
    if (this.#handshake.isPending) this.#handshake.received(view);
  }

  #wait(frame: ViewedFrame): void {
    this.#waiting.add(frame);
    this.#woken?.resolve();
    if (this.#waiting.isFull) this.#options.downstream.pause();
    this.#refuseWaitingInTime();
  }

  #takeWaiting(): ViewedFrame[] {
    const waiting = this.#waiting.takeAll();
    this.#options.downstream.resume();
    return waiting;
  }

  /** Refuses the calls in flight: they may have run, and the lost upstream will not answer them. */
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

  /** Cancels the requests that the lost upstream sent to the client. */
  #takeBackQuestions(error: DeweyError): void {
    for (const requestId of this.#questions.abandon()) {
      const params = { requestId, reason: error.message };
      const text = JSON.stringify({ jsonrpc: "2.0", method: "notifications/cancelled", params });
      this.#tell({ text, view: outlineFrame(text) });
    }
  }

  /** Refuses waiting frames when their time is up, or at once when waiting cannot help. */
  #refuseWaitingInTime(): void {
    const { sinceMs = 0, error } = this.#outage ?? {};
    if (error === undefined) return;
    const leftMs = error.code === "unavailable" ? sinceMs + WAIT_LIMIT_MS - performance.now() : 0;
    if (leftMs <= 0) this.#refuseWaiting(error);
    else setTimeout(() => this.#refuseWaitingInTime(), leftMs).unref();
  }

  #answer(id: unknown, error: DeweyError): void {
    const text = errorFrame(id, jsonRpcCode(error.code), error.message);
    const view = outlineFrame(text);
    this.#answered.answered(view);
    this.#repeated.answered(view);
    this.#tell({ text, view });
  }

  /** What a client sent before it left belongs to the upstream, so the session ends once the upstream has it. */
  async #leave(reason: string): Promise<void> {
    const deadlineMs = performance.now() + LAST_FRAMES_LIMIT_MS;
    while (this.#owed() > 0 && performance.now() < deadlineMs && !this.#isOver) await Bun.sleep(LAST_FRAMES_POLL_MS);
    await this.#end("the client has left", reason);
  }

  /** `detail` is for the record only. */
  async #end(reason: string, detail = "", failed?: FailedStart): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    const { downstream, tap } = this.#options;
    tap.closed(detail === "" ? reason : `${reason}: ${detail}`);
    const upstream = this.#upstream ?? this.#replaying?.link;
    upstream?.close(reason);
    downstream.close();
    await Promise.all([upstream?.finished, failed && downstream.finished]);
    this.#over.resolve(failed);
  }

  /** Frames on their way. A client that has closed its stdin still reads its stdout, so its requests are answered, too. */
  #owed(): number {
    const isReading = this.#options.downstream.wire === "stdio";
    return this.#waiting.size + this.#passing + (isReading ? this.#open.size : 0);
  }
}
