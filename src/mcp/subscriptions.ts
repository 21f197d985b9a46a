import { isObject } from "../wire/frame.ts";
import type { FrameView } from "../wire/frame.ts";
import { INVALID_PARAMS, protocolError } from "./protocol-error.ts";
import type { ResourceChanges } from "./resource-changes.ts";
import { SUBSCRIPTION } from "./stateless.ts";
import type { Stateless } from "./stateless.ts";

type Request = Extract<FrameView, { kind: "request" }>;

/** One open `subscriptions/listen`, which its wire carries. */
interface Subscription {
  view: Request;
  /** Sends a frame to the client. */
  write(frame: string): void;
  /** The server ends the subscription: its response has been written. */
  ended(): void;
}

/** The streams of notifications that clients of 2026-07-28 open; only the list of resources ever changes. */
export class Subscriptions {
  readonly #stateless: Stateless;
  readonly #changes: ResourceChanges;
  readonly #open = new Map<Subscription, () => void>();

  constructor(stateless: Stateless, changes: ResourceChanges) {
    this.#stateless = stateless;
    this.#changes = changes;
  }

  get size(): number {
    return this.#open.size;
  }

  /**
   * Opens a subscription: acknowledges what the server will send, then sends it. Returns the function that cancels it, after
   * which nothing more is written. Throws a `ProtocolError` for a wrong filter.
   */
  open(subscription: Subscription): () => void {
    const { view } = subscription;
    const params = view.message["params"];
    const filter = isObject(params) ? params["notifications"] : undefined;
    if (!isObject(filter))
      throw protocolError(
        INVALID_PARAMS,
        'params.notifications must be an object such as {"resourcesListChanged": true}',
      );
    const honoured = filter["resourcesListChanged"] === true ? { resourcesListChanged: true } : {};
    const notify = (method: string, more: object = {}) =>
      subscription.write(
        JSON.stringify({ jsonrpc: "2.0", method, params: { _meta: { [SUBSCRIPTION]: view.id }, ...more } }),
      );
    notify("notifications/subscriptions/acknowledged", { notifications: honoured });
    const unwatch =
      "resourcesListChanged" in honoured
        ? this.#changes.watch(() => notify("notifications/resources/list_changed"))
        : () => {};
    this.#open.set(subscription, unwatch);
    return () => this.#close(subscription);
  }

  /** Ends every subscription with its response, so that clients know that nothing was lost. */
  stop(): void {
    for (const subscription of this.#open.keys()) {
      this.#close(subscription);
      const { view } = subscription;
      subscription.write(this.#stateless.result(view, { _meta: { [SUBSCRIPTION]: view.id } }));
      subscription.ended();
    }
  }

  #close(subscription: Subscription): void {
    this.#open.get(subscription)?.();
    this.#open.delete(subscription);
  }
}
