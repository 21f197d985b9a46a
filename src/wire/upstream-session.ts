import type { Log } from "../log.ts";
import { isObject } from "./frame.ts";
import type { Json } from "./frame.ts";
import { SESSION_HEADER, VERSION_HEADER } from "./headers.ts";
import { fetchUpstream } from "./http-request.ts";

const BAD_REQUEST = 400;
const NOT_FOUND = 404;
/** Time limit of the ping that asks whether the server knows the session, and its id. */
const PROBE_DEADLINE_MS = 5000;
const PROBE_ID = "dewey-probe";
/** Time limit of the DELETE that ends a session; the server may be gone. */
const GOODBYE_DEADLINE_MS = 2000;
/** Where an upstream is, and what every request says to it. */
export interface UpstreamSessionOptions {
  url: string;
  headers: Record<string, string>;
  log: Log;
}

/** The session with a Streamable HTTP server: its requests, and whether the server still knows it. */
export class UpstreamSession {
  readonly #options: UpstreamSessionOptions;
  readonly #address: string;
  readonly #abort = new AbortController();
  #id: string | undefined;
  #version: string | undefined;
  /** Whether the server has taken a frame of the session. */
  #isProven = false;
  /** Whether the server was found not to know the session. */
  #isLost = false;
  #probing: Promise<boolean> | undefined;

  /** `address` is the server's, without secrets. */
  constructor(options: UpstreamSessionOptions, address: string) {
    this.#options = options;
    this.#address = address;
  }

  /** The id that the server has given it, if any. */
  get id(): string | undefined {
    return this.#id;
  }

  /** Aborts with the session. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Posts a frame. */
  post(frame: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
    return this.#fetch("POST", {
      body: frame,
      headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers },
      signal,
    });
  }

  /** Asks for a stream of events: those after an id, or the ones outside of requests. */
  get(lastEventId: string | undefined): Promise<Response> {
    return this.#fetch("GET", {
      headers: {
        accept: "text/event-stream",
        ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }),
      },
    });
  }

  /**
   * Notes what the response to a frame, sent when the session had this id, says of it. One that was overtaken by an
   * `initialize` is of an earlier session, or of none.
   */
  answered(response: Response, id: string | undefined, isInitialize: boolean): void {
    if (isInitialize || id === this.#id) this.#id = response.headers.get(SESSION_HEADER) ?? id;
    if (response.ok && id !== undefined) this.#isProven = true;
  }

  /** Remembers the negotiated revision, which every later request names in a header. */
  initialized(message: Json): void {
    const { result } = message;
    const version = isObject(result) ? result["protocolVersion"] : undefined;
    if (typeof version === "string") this.#version = version;
  }

  /**
   * Whether a frame of it was refused because the server no longer knows it. Servers and balancers that do not know a session answer 404, or 400,
   * which may also be a fault of the frame.
   */
  async isLostAt(status: number): Promise<boolean> {
    if (status === NOT_FOUND) this.#isLost = true;
    if (status !== BAD_REQUEST || !this.#isProven) return status === NOT_FOUND;
    if (this.#isLost) return true;
    this.#probing ??= this.#probe().finally(() => (this.#probing = undefined));
    const isUnknown = await this.#probing;
    if (isUnknown) this.#isLost = true;
    return isUnknown;
  }

  /** Whether the server refuses even a ping of the session. */
  async #probe(): Promise<boolean> {
    const ping = JSON.stringify({ jsonrpc: "2.0", id: PROBE_ID, method: "ping" });
    try {
      const response = await this.post(ping, {}, AbortSignal.timeout(PROBE_DEADLINE_MS));
      await response.body?.cancel();
      return response.status === BAD_REQUEST || response.status === NOT_FOUND;
    } catch {
      // It does not answer, which tells nothing of the session.
      return false;
    }
  }

  /** Tells the server that the session is over. */
  async end(): Promise<void> {
    if (this.#id === undefined) return;
    try {
      const response = await this.#fetch("DELETE", { headers: {}, signal: AbortSignal.timeout(GOODBYE_DEADLINE_MS) });
      await response.body?.cancel();
    } catch (error) {
      this.#options.log.debug("the HTTP session could not be ended", { address: this.#address, error });
    }
  }

  /** Gives up all requests. */
  abort(): void {
    this.#abort.abort();
  }

  #fetch(
    method: string,
    init: { headers: Record<string, string>; body?: string; signal?: AbortSignal },
  ): Promise<Response> {
    return fetchUpstream(this.#options.url, {
      method,
      signal: this.#abort.signal,
      ...init,
      headers: {
        ...(this.#id === undefined ? {} : { [SESSION_HEADER]: this.#id }),
        ...(this.#version === undefined ? {} : { [VERSION_HEADER]: this.#version }),
        ...init.headers,
        ...this.#options.headers,
      },
    });
  }
}
