import { Backoff } from "../backoff.ts";
import { isEventStream, isRefusedConnection, isTemporary, unsuccessful } from "./http-request.ts";

/** Pauses before a broken stream is fetched again, unless the server sets the reconnection time. */
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;
/** Failures in a row to resume the stream of a response after which its requests are given up. */
const MAX_ANSWER_FAILURES = 5;

/** How a stream ended, and what is needed to resume it. */
export interface StreamEnd {
  /** The id of its last event that has one. */
  lastEventId: string | undefined;
  /** The reconnection time that the server has set. */
  retryMs: number | undefined;
  /** Why it broke; undefined when the server ended it. */
  error: Error | undefined;
}

export interface AnswerStreamOptions {
  /** Reads events until the stream ends or breaks. Never rejects. */
  read(response: Response): Promise<StreamEnd>;
  /** Asks for the events after this one. */
  get(lastEventId: string): Promise<Response>;
  /** Whether nothing more is expected of it. */
  isOver(): boolean;
}

/**
 * The stream of a response. The rest of it is asked for while requests are unanswered: it broke, or the server closed it to
 * let the client poll. Only failures count as attempts, and any new event id starts the count over.
 */
export class AnswerStream {
  readonly #options: AnswerStreamOptions;
  readonly #backoff = streamBackoff();
  #lastId: string | undefined;
  #retryMs: number | undefined;
  #failures = 0;

  constructor(options: AnswerStreamOptions) {
    this.#options = options;
  }

  /** Reads until nothing more is expected. Throws when it cannot be resumed. */
  async read(first: Response): Promise<void> {
    let response: Response | undefined = first;
    while (response) {
      const end = await this.#options.read(response);
      response = this.#options.isOver() ? undefined : await this.#rest(end);
    }
  }

  /** Resolves with the rest of a stream, or with undefined when it is no longer wanted. */
  async #rest({
    lastEventId = this.#lastId,
    retryMs = this.#retryMs,
    error,
  }: StreamEnd): Promise<Response | undefined> {
    if (lastEventId === undefined) throw error ?? new Error("the stream ended too early");
    const isProgress = lastEventId !== this.#lastId;
    if (isProgress) {
      this.#failures = 0;
      this.#backoff.reset();
    }
    this.#lastId = lastEventId;
    this.#retryMs = retryMs;
    let problem = isProgress ? undefined : error;
    for (;;) {
      if (problem) this.#failures += 1;
      if (problem && this.#failures === MAX_ANSWER_FAILURES) throw problem;
      const longerMs = this.#backoff.next();
      await Bun.sleep(retryMs ?? longerMs);
      // The call may have been cancelled meanwhile.
      if (this.#options.isOver()) return undefined;
      const resumed = await this.#resume(lastEventId);
      if (resumed instanceof Response) return resumed;
      problem = resumed;
    }
  }

  /** Asks for the rest of a stream. Returns why that failed for now; throws what no further attempt can change. */
  async #resume(lastEventId: string): Promise<Response | Error> {
    let response: Response;
    try {
      response = await this.#options.get(lastEventId);
    } catch (error) {
      if (isRefusedConnection(error)) throw error;
      return error instanceof Error ? error : new Error(String(error));
    }
    if (isEventStream(response)) return response;
    if (response.ok) {
      await response.body?.cancel();
      throw new Error("the rest of its stream was asked for, and the answer is no event stream");
    }
    const problem = await unsuccessful(response);
    if (isTemporary(response)) return problem;
    throw problem;
  }
}

/** The pauses before a stream is fetched again. */
export function streamBackoff(): Backoff {
  return new Backoff({ firstMs: FIRST_RETRY_MS, longestMs: LONGEST_RETRY_MS });
}
