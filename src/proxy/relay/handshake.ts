import { isDeeperThan, isObject } from "../../wire/frame.ts";
import type { FrameView, Json } from "../../wire/frame.ts";

/** Begins the ids of requests of our own, which the client never sees the answers of. */
const REPLAY_PREFIX = "dewey-replay-";
/** Requests nested deeper are not replayed: it would take seconds to write them, or throw. Real ones have a few levels. */
const MAX_REPLAYED_LEVELS = 1000;

/** What of a session a server must be told again when it, or another in its place, is connected anew. */
export class Handshake {
  #initializeId: string | undefined;
  #initialize: Json | undefined;
  #capabilities: Json | undefined;
  #initialized = false;
  #logLevel: Json | undefined;
  readonly #subscriptions = new Map<string, Json>();
  readonly #replayed = new Set<string>();
  #next = 1;

  /** Sees what the client sends. */
  sent(view: FrameView): void {
    if (view.kind === "notification" && view.method === "notifications/initialized") this.#initialized = true;
    if (view.kind !== "request") return;
    const params = isObject(view.message["params"]) ? view.message["params"] : {};
    const uri = String(params["uri"]);
    if (view.method === "initialize") {
      this.#initializeId = view.key;
      this.#initialize = view.message;
    } else if (view.method === "logging/setLevel") this.#logLevel = view.message;
    else if (view.method === "resources/subscribe") this.#subscriptions.set(uri, view.message);
    else if (view.method === "resources/unsubscribe") this.#subscriptions.delete(uri);
  }

  /** Sees what the server answers. */
  received(view: FrameView): void {
    if (view.kind !== "response" || this.#initializeId !== view.key) return;
    this.#initializeId = undefined;
    const { result } = view.message;
    if (isObject(result)) this.#capabilities = isObject(result["capabilities"]) ? result["capabilities"] : {};
    else this.#initialize = undefined;
  }

  /** Whether the server still owes the answer to initialize, which tells what must be replayed. */
  get isPending(): boolean {
    return this.#initializeId !== undefined;
  }

  /** Sees what of the client's has come to nobody: it has been told of every request, and of no notification. */
  unsent(view: FrameView): void {
    if (view.kind === "notification") this.sent(view);
  }

  /** The client's initialize is answered by an error of ours: there is nothing to replay any more. */
  forget(): void {
    this.#initializeId = undefined;
    if (this.#capabilities === undefined) this.#initialize = undefined;
  }

  /** The first frame of a replay and its id; undefined when the client has not been through initialize. */
  initializeAgain(): { id: string; frame: string } | undefined {
    if (this.#initialize === undefined || this.#capabilities === undefined) return undefined;
    return this.#again(this.#initialize);
  }

  /** What follows when initialize is answered again. */
  restAgain(): string[] {
    const requests = [...(this.#logLevel ? [this.#logLevel] : []), ...this.#subscriptions.values()];
    return [
      ...(this.#initialized ? [JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" })] : []),
      ...requests.flatMap((request) => this.#again(request)?.frame ?? []),
    ];
  }

  /** What the client should ask for again, of a server that may be another one now. */
  listChanges(): string[] {
    const kinds = ["tools", "prompts", "resources"].filter((kind) => {
      const capability = this.#capabilities?.[kind];
      return isObject(capability) && capability["listChanged"] === true;
    });
    return kinds.map((kind) => JSON.stringify({ jsonrpc: "2.0", method: `notifications/${kind}/list_changed` }));
  }

  /** Whether this answers a request of ours; each is recognised once. */
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
