import { within } from "../deadline.ts";
import { DeweyError, jsonRpcCode } from "../errors.ts";
import type { Log } from "../log.ts";
import { withoutSecrets } from "./address.ts";
import { errorFrame, requestIds, viewFrame } from "./frame.ts";
import { fetchUpstream, isRefusedConnection, reasonOf, unsuccessful } from "./http-request.ts";
import { Inbox } from "./inbox.ts";
import { DIAL_DEADLINE_MS } from "./limits.ts";
import type { Link, LinkHandlers } from "./link.ts";
import { PostQueue } from "./post-queue.ts";
import { SseReader } from "./sse.ts";

/** JSON-RPC code of a request that the server did not answer. */
const UPSTREAM_FAILED = jsonRpcCode("unavailable");
const NOT_FOUND = 404;
/** How long a frame waits for the one before it to be taken, so that frames keep their order; some servers answer late. */
const ARRIVAL_PATIENCE_MS = 100;

export interface SseDialOptions {
  url: string;
  headers: Record<string, string>;
  log: Log;
}

/**
 * Connects to a server over the older HTTP+SSE transport (MCP 2024-11-05): one event stream carries everything from the
 * server, and its first event names the address to post frames to. Throws `unavailable`, naming the address.
 */
export async function dialSse(options: SseDialOptions): Promise<Link> {
  const abort = new AbortController();
  const address = withoutSecrets(options.url);
  try {
    const late = () => {
      throw new Error("it has not named its endpoint in time");
    };
    return await within(DIAL_DEADLINE_MS, connected(options, abort), late);
  } catch (cause) {
    abort.abort();
    throw new DeweyError("unavailable", `${address} cannot be reached: ${reasonOf(cause)}`, { cause });
  }
}

async function connected(options: SseDialOptions, abort: AbortController): Promise<Link> {
  const { url, headers } = options;
  const response = await fetchUpstream(url, {
    headers: { accept: "text/event-stream", "cache-control": "no-cache", ...headers },
    signal: abort.signal,
  });
  if (!response.ok) throw await unsuccessful(response);
  if (!response.headers.get("content-type")?.startsWith("text/event-stream") || !response.body) {
    await response.body?.cancel();
    throw new Error("it answers GET without an event stream");
  }
  const link = new SseClientLink(options, abort);
  await link.start(response.body);
  return link;
}

class SseClientLink implements Link {
  readonly wire = "sse";
  readonly #options: SseDialOptions;
  readonly #address: string;
  readonly #abort: AbortController;
  readonly #inbox = new Inbox();
  readonly #endpoint = Promise.withResolvers<URL>();
  readonly #queue = new PostQueue({
    post: (frame) => this.#post(frame),
    drained: () => this.#inbox.drained(),
  });
  #resumed: PromiseWithResolvers<void> | undefined;
  #isClosed = false;
  readonly #finished = Promise.withResolvers<void>();

  constructor(options: SseDialOptions, abort: AbortController) {
    this.#options = options;
    this.#address = withoutSecrets(options.url);
    this.#abort = abort;
  }

  /** Reads the stream from now on. Resolves once the server has named its endpoint. */
  async start(body: AsyncIterable<Uint8Array>): Promise<void> {
    void this.#read(body);
    await this.#endpoint.promise;
  }

  open(handlers: LinkHandlers): void {
    this.#inbox.open(handlers);
  }

  send(frame: string): boolean {
    if (this.#isClosed) return true;
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
    this.#isClosed = true;
    this.resume();
    this.#inbox.closed("closed by Dewey");
    void this.#finish();
  }

  /** Ends the stream once the server has the frames that were sent, or takes no more of them. */
  async #finish(): Promise<void> {
    await this.#queue.flushed();
    this.#abort.abort();
    this.#finished.resolve();
  }

  async #read(body: AsyncIterable<Uint8Array>): Promise<void> {
    const reader = new SseReader();
    let reason = "its event stream has ended";
    try {
      for await (const chunk of body) {
        for (const { event, data } of reader.push(chunk)) {
          if (event === "endpoint") this.#named(data);
          else if (event === undefined && data !== "" && !this.#isClosed) this.#inbox.frame(data);
        }
        await this.#resumed?.promise;
      }
    } catch (error) {
      reason = `its event stream broke: ${reasonOf(error)}`;
    }
    this.#endpoint.reject(new Error(reason));
    this.#end(reason);
  }

  /** Takes the address for posts. Only this server may see the headers, so it must be of the same origin. */
  #named(data: string): void {
    const endpoint = URL.parse(data, this.#options.url);
    if (endpoint && endpoint.origin === new URL(this.#options.url).origin) this.#endpoint.resolve(endpoint);
    else throw new Error("its endpoint has another origin");
  }

  async #post(frame: string): Promise<void> {
    const posted = this.#queue.carry(frame, () => this.#exchange(frame));
    await within(ARRIVAL_PATIENCE_MS, posted, () => {});
  }

  /** Posts a frame; its response comes on the stream. Never rejects. */
  async #exchange(frame: string): Promise<void> {
    try {
      const endpoint = await this.#endpoint.promise;
      const response = await fetchUpstream(endpoint.href, {
        method: "POST",
        body: frame,
        headers: { "content-type": "application/json", ...this.#options.headers },
        signal: this.#abort.signal,
      });
      if (response.ok) await response.body?.cancel();
      else await this.#refused(frame, response);
    } catch (error) {
      this.#fail(frame, error);
    }
  }

  /** A server that does not know the session has not taken the frame. */
  async #refused(frame: string, response: Response): Promise<void> {
    const error = await unsuccessful(response);
    const isLost = response.status === NOT_FOUND;
    if (this.#isClosed) return;
    if (!isLost || !this.#inbox.unsent(frame)) this.#fail(frame, error);
    if (isLost) this.#end(`its session is gone (${error.message})`);
  }

  /** Answers the requests that the server will not answer. */
  #fail(frame: string, error: unknown): void {
    if (this.#isClosed) return;
    const reason = reasonOf(error);
    this.#options.log.warn("the SSE upstream did not take a frame", { address: this.#address, reason });
    for (const id of requestIds(viewFrame(frame)))
      this.#inbox.frame(errorFrame(id, UPSTREAM_FAILED, `${this.#address} did not answer the request: ${reason}`));
    if (isRefusedConnection(error)) this.#end(`${this.#address} cannot be reached`);
  }

  #end(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.resume();
    this.#abort.abort();
    this.#inbox.closed(reason);
    this.#finished.resolve();
  }
}
