import { INVALID_REQUEST, cancelledKey } from "../wire/frame.ts";
import type { FrameView } from "../wire/frame.ts";
import type { Link } from "../wire/link.ts";
import { jsonRpcError, protocolError } from "./protocol-error.ts";
import { LISTEN } from "./server-info.ts";
import { claimsStateless, envelopeError, errorResponse, noMethod } from "./stateless.ts";
import type { Stateless } from "./stateless.ts";
import type { Subscriptions } from "./subscriptions.ts";

type AskedRequest = Extract<FrameView, { kind: "request" }>;

/** Answers the requests of 2026-07-28 on a link that carries a session as well: a WebSocket, or a client's stdio behind one. */
export class StatelessLink {
  readonly #link: Link;
  readonly #stateless: Stateless;
  readonly #subscriptions: Subscriptions;
  readonly #address: string | null;
  /** What cancels each request in flight, by its key. */
  readonly #inFlight = new Map<string, () => void>();

  constructor(link: Link, stateless: Stateless, subscriptions: Subscriptions, address: string | null = null) {
    this.#link = link;
    this.#stateless = stateless;
    this.#subscriptions = subscriptions;
    this.#address = address;
  }

  /** Takes a message of this revision, and returns false for any other. */
  take(view: FrameView): boolean {
    const cancelled = cancelledKey(view);
    if (cancelled !== undefined) return this.#cancel(cancelled);
    if (!claimsStateless(view)) return false;
    if (view.kind === "request") this.#ask(view);
    return true;
  }

  /** The client has left. */
  close(): void {
    for (const cancel of this.#inFlight.values()) cancel();
    this.#inFlight.clear();
  }

  #ask(view: AskedRequest): void {
    const { key } = view;
    const refused =
      envelopeError(view) ??
      (this.#inFlight.has(key)
        ? protocolError(INVALID_REQUEST, "the id is that of another request in flight")
        : undefined) ??
      (this.#stateless.handles(view.method) ? undefined : noMethod(view.method));
    if (refused) this.#link.send(errorResponse(view, jsonRpcError(refused)));
    else if (view.method === LISTEN) this.#listen(view);
    else void this.#answer(view);
  }

  async #answer(view: AskedRequest): Promise<void> {
    const abort = new AbortController();
    this.#inFlight.set(view.key, () => abort.abort());
    const frame = await this.#stateless.answer(view, abort.signal, this.#address);
    // A cancelled request gets no response.
    if (abort.signal.aborted) return;
    this.#inFlight.delete(view.key);
    this.#link.send(frame);
  }

  #listen(view: AskedRequest): void {
    try {
      const cancel = this.#subscriptions.open({
        view,
        write: (frame) => void this.#link.send(frame),
        ended: () => this.#inFlight.delete(view.key),
      });
      this.#inFlight.set(view.key, cancel);
    } catch (thrown) {
      this.#link.send(errorResponse(view, jsonRpcError(thrown)));
    }
  }

  /** Cancels a request of this revision; returns false when the id is none of theirs. */
  #cancel(key: string): boolean {
    const cancel = this.#inFlight.get(key);
    this.#inFlight.delete(key);
    cancel?.();
    return cancel !== undefined;
  }
}
