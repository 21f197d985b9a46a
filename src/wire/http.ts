import { within } from "../deadline.ts";
import { DeweyError, jsonRpcCode } from "../errors.ts";
import type { Log } from "../log.ts";
import { withoutSecrets } from "./address.ts";
import { AnswerStream } from "./answer-stream.ts";
import type { StreamEnd } from "./answer-stream.ts";
import { boundedText } from "./bounded-text.ts";
import { INVALID_REQUEST, PARSE_ERROR, cancelledKey, errorFrame, requestIds, viewFrame } from "./frame.ts";
import type { FrameView } from "./frame.ts";
import { fetchUpstream, isEventStream, isRefusedConnection, reasonOf, unsuccessful } from "./http-request.ts";
import { Inbox } from "./inbox.ts";
import { DIAL_DEADLINE_MS } from "./limits.ts";
import type { Link, LinkHandlers } from "./link.ts";
import { ListeningStream } from "./listening-stream.ts";
import { PostQueue } from "./post-queue.ts";
import { SseReader } from "./sse.ts";
import { StatelessRequests } from "./stateless-requests.ts";
import { UpstreamSession } from "./upstream-session.ts";

/** JSON-RPC code of a request that the server did not answer. */
const UPSTREAM_FAILED = jsonRpcCode("unavailable");
const ACCEPTED = 202;
/** How long a lost session waits for the refusals of other frames in flight. */
const REFUSALS_LIMIT_MS = 1000;
/** How long a notification waits for earlier requests: some servers send no headers before they have the answer. */
const ARRIVAL_PATIENCE_MS = 100;

export interface HttpDialOptions {
  url: string;
  headers: Record<string, string>;
  log: Log;
  /** Called with the reason when the GET stream cannot be opened for now, and with undefined when that is over. */
  sawStream?: ((reason: string | undefined) => void) | undefined;
  arrivalPatienceMs?: number;
  maxSendingCharacters?: number;
}

/**
 * Connects to a Streamable HTTP server: checks that something answers at its address, with OPTIONS, which means nothing to
 * MCP. Throws `unavailable`, naming the address.
 */
export async function dialHttp(options: HttpDialOptions): Promise<Link> {
  const signal = AbortSignal.timeout(DIAL_DEADLINE_MS);
  try {
    const response = await fetchUpstream(options.url, { method: "OPTIONS", headers: options.headers, signal });
    await response.body?.cancel();
  } catch (cause) {
    throw new DeweyError("unavailable", `${withoutSecrets(options.url)} cannot be reached: ${reasonOf(cause)}`, {
      cause,
    });
  }
  return new HttpClientLink(options);
}

/** Frames pass unchanged, as text: each is a POST, and its response is one body or the data of server-sent events. */
class HttpClientLink implements Link {
  readonly wire = "http";
  readonly #options: HttpDialOptions;
  readonly #address: string;
  readonly #inbox = new Inbox();
  readonly #session: UpstreamSession;
  readonly #listening: ListeningStream;
  readonly #stateless = new StatelessRequests();
  readonly #queue: PostQueue;
  /** Why the server no longer knows the session; the link is about to close. */
  #lostReason: string | undefined;
  #initializeId: string | undefined;
  /** The unanswered requests of each exchange. */
  readonly #exchanges = new Set<Map<string, unknown>>();
  #resumed: PromiseWithResolvers<void> | undefined;
  #isClosed = false;
  readonly #finished = Promise.withResolvers<void>();

  constructor(options: HttpDialOptions) {
    this.#options = options;
    this.#address = withoutSecrets(options.url);
    this.#session = new UpstreamSession(options, this.#address);
    this.#listening = new ListeningStream({
      get: (lastEventId) => this.#session.get(lastEventId),
      read: (response) => this.#read(response, undefined),
      failed: (error) => this.#endIfUnreachable(error),
      sawStream: options.sawStream,
      address: this.#address,
      log: options.log,
    });
    this.#queue = new PostQueue({
      post: (frame) => this.#post(frame),
      drained: () => this.#inbox.drained(),
      maxSendingCharacters: options.maxSendingCharacters,
    });
  }

  open(handlers: LinkHandlers): void {
    this.#inbox.open(handlers);
  }

  send(frame: string): boolean {
    if (this.#isClosed) return true;
    if (this.#lostReason !== undefined && this.#inbox.unsent(frame)) return true;
    return this.#queue.send(frame);
  }

  pause(): void {
    this.#resumed ??= Promise.withResolvers();
  }

  resume(): void {
    this.#resumed?.resolve();
    this.#resumed = undefined;
  }

  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#listening.close();
    this.#isClosed = true;
    this.resume();
    this.#inbox.closed("closed by Dewey");
    void this.#finish();
  }

  /** Ends the session once the server has the frames that were sent, or takes no more of them. */
  async #finish(): Promise<void> {
    await this.#queue.flushed();
    await this.#session.end();
    this.#session.abort();
    this.#finished.resolve();
  }

  /**
   * Posts a frame. Resolves when the next may be posted: after a notification, so that none is overtaken, and after the
   * response to `initialize`, which names the session. Other requests run concurrently. A notification waits until earlier
   * requests have arrived; otherwise it might cancel one that has not.
   */
  async #post(frame: string): Promise<void> {
    if (this.#lostReason !== undefined && this.#inbox.unsent(frame)) {
      this.#queue.taken(frame);
      return;
    }
    const view = viewFrame(frame);
    if (view.kind === "invalid") {
      this.#queue.taken(frame);
      const code = view.reason === "not JSON" ? PARSE_ERROR : INVALID_REQUEST;
      this.#inbox.frame(errorFrame(null, code, `the frame is ${view.reason}`));
      return;
    }
    if (this.#stateless.cancel(view)) {
      this.#queue.taken(frame);
      return;
    }
    if (view.kind === "notification") await this.#arrival();
    if (view.kind === "request" && isInitialize(view)) this.#initializeId = view.key;
    const done = this.#exchange(frame, view);
    if (isInitialize(view) || (view.kind !== "request" && view.kind !== "batch")) await done;
  }

  /** Resolves when the requests before have arrived, or seem to have. */
  async #arrival(): Promise<void> {
    const patienceMs = this.#options.arrivalPatienceMs ?? ARRIVAL_PATIENCE_MS;
    await within(patienceMs, this.#queue.arrived(), () => {});
  }

  async #exchange(frame: string, view: FrameView): Promise<void> {
    const unanswered = new Map(requestIds(view).map((id) => [JSON.stringify(id), id]));
    const cancelled = this.#stateless.begin(view, this.#session.signal, () => unanswered.clear());
    this.#exchanges.add(unanswered);
    this.#cancel(view);
    try {
      const response = await this.#queue.carry(frame, () =>
        this.#carry(frame, view, { unanswered, signal: cancelled }),
      );
      if (response.ok) await this.#receive(response, unanswered);
      if (response.status === ACCEPTED && isInitialized(view)) void this.#listening.listen();
    } catch (error) {
      if (!cancelled.aborted) this.#fail(unanswered, error);
    } finally {
      this.#exchanges.delete(unanswered);
      this.#stateless.end(view);
    }
  }

  /** A cancelled request needs no answer, so the end of its stream is no failure, and nothing is left to poll for. */
  #cancel(view: FrameView): void {
    const key = cancelledKey(view);
    if (key !== undefined) for (const unanswered of this.#exchanges) unanswered.delete(key);
  }

  /** Posts a frame. Resolves when the server has it, with the headers of its response, or once its refusal is settled. */
  async #carry(
    frame: string,
    view: FrameView,
    { unanswered, signal }: { unanswered: Map<string, unknown>; signal: AbortSignal },
  ): Promise<Response> {
    const sessionId = this.#session.id;
    const response = await this.#stateless.post(frame, view, (text, headers) =>
      this.#session.post(text, headers, signal),
    );
    this.#session.answered(response, sessionId, isInitialize(view));
    if (!response.ok) await this.#refused(response, { frame, unanswered, isInSession: sessionId !== undefined });
    return response;
  }

  /** Reads a response's body. A stream that breaks while requests are unanswered is resumed if its events have ids. */
  async #receive(response: Response, unanswered: Map<string, unknown>): Promise<void> {
    const type = response.headers.get("content-type") ?? "";
    if (isEventStream(response)) await this.#answerStream(unanswered).read(response);
    else if (unanswered.size > 0 && type.startsWith("application/json")) {
      this.#deliver(await boundedText(response), unanswered);
    } else await response.body?.cancel();
    if (unanswered.size > 0) throw new Error("the response ended before every request was answered");
  }

  #answerStream(unanswered: Map<string, unknown>): AnswerStream {
    return new AnswerStream({
      read: (response) => this.#read(response, unanswered),
      get: (lastEventId) => this.#session.get(lastEventId),
      isOver: () => unanswered.size === 0 || this.#isClosed,
    });
  }

  /** Reads events until the stream ends or breaks. Returns what is needed to resume it. */
  async #read(response: Response, unanswered: Map<string, unknown> | undefined): Promise<StreamEnd> {
    const reader = new SseReader();
    const body: AsyncIterable<Uint8Array> | [] = response.body ?? [];
    let lastEventId: string | undefined;
    let error: Error | undefined;
    try {
      for await (const chunk of body) {
        for (const { id, data } of reader.push(chunk)) {
          lastEventId = id ?? lastEventId;
          if (data !== "") this.#deliver(data, unanswered);
        }
        await this.#resumed?.promise;
      }
    } catch (thrown) {
      error = thrown instanceof Error ? thrown : new Error(String(thrown));
    }
    return { lastEventId, retryMs: reader.retryMs, error };
  }

  #deliver(text: string, unanswered: Map<string, unknown> | undefined): void {
    if (unanswered && unanswered.size > 0) {
      const view = viewFrame(text);
      // The body may be empty, or an HTML page of a proxy in between.
      if (view.kind === "invalid" && view.reason === "not JSON") return;
      for (const each of view.kind === "batch" ? view.messages : [view]) {
        if (each.kind !== "response") continue;
        const id = each.key;
        unanswered.delete(id);
        if (id === this.#initializeId) {
          this.#initializeId = undefined;
          this.#session.initialized(each.message);
        }
        this.#stateless.answered(each);
      }
    }
    if (!this.#isClosed) this.#inbox.frame(text);
  }

  /**
   * Passes a body that is a JSON-RPC response on unchanged, and answers with an error otherwise. A frame that was refused
   * because the server no longer knows the session goes back to the owner.
   */
  async #refused(
    response: Response,
    { frame, unanswered, isInSession }: { frame: string; unanswered: Map<string, unknown>; isInSession: boolean },
  ): Promise<void> {
    const error = await unsuccessful(response);
    const isLost = isInSession && (await this.#session.isLostAt(response.status));
    if (isLost) this.#loseSession(error.message);
    if (this.#isClosed || (isLost && this.#inbox.unsent(frame))) return;
    if (error.answers !== undefined && unanswered.has(error.answers)) this.#deliver(error.body, unanswered);
    this.#fail(unanswered, error);
  }

  /** Closes the link once the other frames in flight are refused as well, so that each goes back to the owner. */
  #loseSession(reason: string): void {
    if (this.#lostReason !== undefined) return;
    this.#lostReason = reason;
    void within(REFUSALS_LIMIT_MS, this.#queue.emptied(), () => {}).then(() =>
      this.#end(`its HTTP session is gone (${reason})`),
    );
  }

  /** Answers the requests that the server will not answer. */
  #fail(unanswered: Map<string, unknown>, error: unknown): void {
    if (this.#isClosed) return;
    const reason = reasonOf(error);
    this.#options.log.warn("the HTTP upstream did not take a frame", { address: this.#address, reason });
    for (const id of unanswered.values())
      this.#inbox.frame(errorFrame(id, UPSTREAM_FAILED, `${this.#address} did not answer the request: ${reason}`));
    this.#endIfUnreachable(error);
  }

  #endIfUnreachable(error: unknown): void {
    if (isRefusedConnection(error)) this.#end(`${this.#address} cannot be reached`);
  }

  #end(reason: string): void {
    if (this.#isClosed) return;
    this.#listening.close();
    this.#isClosed = true;
    this.resume();
    this.#session.abort();
    this.#inbox.closed(reason);
    this.#finished.resolve();
  }
}

function isInitialize(view: FrameView): boolean {
  return view.kind === "request" && view.method === "initialize";
}

function isInitialized(view: FrameView): boolean {
  return view.kind === "notification" && view.method === "notifications/initialized";
}
