import { progressToken, subscriptionKey } from "./frame-relations.ts";
import type { FrameView } from "./frame.ts";
import { SessionStream } from "./session-stream.ts";

/** Name of the stream that a client opens with GET, for messages outside of requests. */
const STANDALONE = "0";

/**
 * The streams of one session that are open, and what each is to answer. Streamable HTTP sends messages that belong to a
 * request on that request's stream: progress goes to the request with its token, and other requests and notifications of the
 * server go to the open request when there is exactly one. All else goes to the GET stream.
 */
export class SessionStreams {
  /** The GET stream. */
  readonly standalone = new SessionStream(STANDALONE);
  readonly #byName = new Map([[STANDALONE, this.standalone]]);
  readonly #byRequest = new Map<string, SessionStream>();

  [Symbol.iterator](): Iterator<SessionStream> {
    return this.#byName.values();
  }

  named(name: string): SessionStream | undefined {
    return this.#byName.get(name);
  }

  /** Adds a stream with its requests; returns false when the id of one is in flight. */
  add(stream: SessionStream): boolean {
    if ([...stream.unanswered].some((id) => this.#byRequest.has(id))) return false;
    for (const id of stream.unanswered) this.#byRequest.set(id, stream);
    this.#byName.set(stream.name, stream);
    return true;
  }

  /** Removes a stream whose requests nobody waits for; each of these is forgotten by itself. */
  remove(stream: SessionStream): void {
    this.#byName.delete(stream.name);
  }

  /** Forgets a request, by its key. */
  forget(key: string): void {
    this.#byRequest.delete(key);
  }

  /** Bytes that the client has not read. */
  get queuedBytes(): number {
    let sum = 0;
    for (const { body } of this) sum += body?.queuedBytes ?? 0;
    return sum;
  }

  /** The stream that a frame of the server goes to. */
  of(view: FrameView): SessionStream {
    if (view.kind === "batch") return view.messages.map((each) => this.of(each)).at(-1) ?? this.standalone;
    if (view.kind === "response") {
      const asked = this.#byRequest.get(view.key);
      if (asked) return asked;
    }
    const subscribed = this.#byRequest.get(subscriptionKey(view) ?? "");
    if (subscribed) return subscribed;
    const asking = [...this.#byName.values()].filter((stream) => stream !== this.standalone);
    const token = progressToken(view);
    const related =
      asking.find((stream) => stream.progressTokens.has(token)) ?? (asking.length === 1 ? asking[0] : undefined);
    if (related && (related.body || !this.standalone.body)) return related;
    // Without a GET stream the client would never see a server's request, unless it goes to some request's stream.
    return this.standalone.body ? this.standalone : (asking.findLast((stream) => stream.body) ?? this.standalone);
  }

  /** Notes which requests a frame answers, and ends the stream that has answered all of its own. */
  settle(view: FrameView): void {
    if (view.kind === "batch") for (const each of view.messages) this.settle(each);
    if (view.kind !== "response") return;
    const id = view.key;
    const stream = this.#byRequest.get(id);
    if (!stream) return;
    this.#byRequest.delete(id);
    stream.unanswered.delete(id);
    if (stream.unanswered.size > 0) return;
    stream.body?.end();
    this.#byName.delete(stream.name);
  }
}
