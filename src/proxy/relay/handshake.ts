import { isDeeperThan, isObject } from "../../wire/frame.ts";
import type { FrameView, Json } from "../../wire/frame.ts";

/** Prefix of the ids of Dewey's own requests, whose answers the client never sees. */
const REPLAY_PREFIX = "dewey-replay-";
/** Requests nested deeper are not replayed, since writing them would take seconds or throw. Real ones have a few levels. */
const MAX_REPLAYED_LEVELS = 1000;

/** Remembers what a session must replay to an upstream after a reconnect: initialize, log level and subscriptions. */
export class Handshake {
  #initializeId: string | undefined;
  #initialize: Json | undefined;
  #capabilities: Json | undefined;
  #initialized = false;
  #askedMs = 0;
  /** How long the client's initialize took, in milliseconds; 0 before its answer. */
  answeredInMs = 0;
  #logLevel: Json | undefined;
  readonly #subscriptions = new Map<string, Json>();
  readonly #replayed = new Set<string>();
  #next = 1;

  /** Notes a message that the client sent. */
  sent(view: FrameView): void {
    if (view.kind === "notification" && view.method === "notifications/initialized") this.#initialized = true;
    if (view.kind !== "request") return;
    const params = isObject(view.message["params"]) ? view.message["params"] : {};
    const { uri } = params;
    if (view.method === "initialize") {
      this.#initializeId = view.key;
      this.#initialize = view.message;
      this.#askedMs = performance.now();
    } else if (view.method === "logging/setLevel") this.#logLevel = view.message;
    else if (typeof uri !== "string") return;
    else if (view.method === "resources/subscribe") this.#subscriptions.set(uri, view.message);
    else if (view.method === "resources/unsubscribe") this.#subscriptions.delete(uri);
  }

  /** Notes a message from the server. */
  received(view: FrameView): void {
    if (view.kind !== "response" || this.#initializeId !== view.key) return;
    this.#initializeId = undefined;
    this.answeredInMs = performance.now() - this.#askedMs;
    const { result } = view.message;
    if (isObject(result)) this.#capabilities = isObject(result["capabilities"]) ? result["capabilities"] : {};
    else this.#initialize = undefined;
  }

  /** Whether initialize is unanswered: nothing is replayed before its answer. */
  get isPending(): boolean {
    return this.#initializeId !== undefined;
  }

  /**
   * Notes a message that reached no upstream. A notification counts as sent; a request does not, since the client got an
   * error for it.
   */
  unsent(view: FrameView): void {
    if (view.kind === "notification") this.sent(view);
  }

  /** The client's pending initialize was answered with an error by Dewey, so it is not replayed. */
  forget(): void {
    this.#initializeId = undefined;
    if (this.#capabilities === undefined) this.#initialize = undefined;
  }

  /** The replayed initialize and its id; undefined when the client has not completed one. */
  initializeAgain(): { id: string; frame: string } | undefined {
    if (this.#initialize === undefined || this.#capabilities === undefined) return undefined;
    return this.#again(this.#initialize);
  }

  /** The frames to send once the replayed initialize is answered. */
  restAgain(): string[] {
    const requests = [...(this.#logLevel ? [this.#logLevel] : []), ...this.#subscriptions.values()];
    return [
      ...(this.#initialized ? [JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" })] : []),
      ...requests.flatMap((request) => this.#again(request)?.frame ?? []),
    ];
  }

  /** Notifications that tell the client to list again, since the server may have changed. */
  listChanges(): string[] {
    const kinds = ["tools", "prompts", "resources"].filter((kind) => {
      const capability = this.#capabilities?.[kind];
      return isObject(capability) && capability["listChanged"] === true;
    });
    return kinds.map((kind) => JSON.stringify({ jsonrpc: "2.0", method: `notifications/${kind}/list_changed` }));
  }

  /** Whether this message of ours, or of the client, is sent to each new upstream anyway. */
  isReplayed(view: FrameView): boolean {
    if (view.kind === "notification") return view.method === "notifications/initialized";
    return view.kind === "request" && typeof view.id === "string" && this.#replayed.has(view.id);
  }

  /** Whether this answers one of Dewey's own requests. True once for each. */
  isReplay(view: FrameView): boolean {
    return view.kind === "response" && typeof view.id === "string" && this.#replayed.delete(view.id);
  }

  #again(request: Json): { id: string; frame: string } | undefined {
    if (isDeeperThan(request, MAX_REPLAYED_LEVELS)) return undefined;
    const id = `${REPLAY_PREFIX}${this.#next}`;
    this.#next += 1;
    this.#replayed.add(id);
    return { id, frame: JSON.stringify({ ...request, id }) };
  }
}

/** Why the response to a replayed initialize refuses it; undefined if it does not. */
export function refusalIn({ message }: { message: Json }): string | undefined {
  const { error } = message;
  if (error === undefined) return undefined;
  const reason = isObject(error) ? error["message"] : undefined;
  return `it refused initialize: ${typeof reason === "string" ? reason : "no reason was given"}`;
}
