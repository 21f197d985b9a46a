import type { Log } from "../log.ts";
import { streamBackoff } from "./answer-stream.ts";
import type { StreamEnd } from "./answer-stream.ts";
import { isEventStream, isTemporary, reasonOf, unsuccessful } from "./http-request.ts";

/** How the stream is read. */
export interface ListeningStreamOptions {
  /** Asks for the stream: for the events after this one, if there was one. */
  get(lastEventId: string | undefined): Promise<Response>;
  /** Reads events until the stream ends or breaks. Never rejects. */
  read(response: Response): Promise<StreamEnd>;
  /** Called when it could not be opened, after that was reported. */
  failed(error: unknown): void;
  /** Called with the reason when it cannot be opened for now, and with undefined when that is over. */
  sawStream?: ((reason: string | undefined) => void) | undefined;
  address: string;
  log: Log;
}

/** The GET stream of an upstream, which carries messages outside of requests. */
export class ListeningStream {
  readonly #options: ListeningStreamOptions;
  #isListening = false;
  #isClosed = false;
  #problem: string | undefined;

  constructor(options: ListeningStreamOptions) {
    this.#options = options;
  }

  /** Keeps it open until it is closed. */
  async listen(): Promise<void> {
    if (this.#isListening) return;
    this.#isListening = true;
    let lastId: string | undefined;
    const backoff = streamBackoff();
    while (!this.#isClosed) {
      let retryMs: number | undefined;
      try {
        const response = await this.#options.get(lastId);
        if (isTemporary(response)) throw await unsuccessful(response);
        if (!isEventStream(response)) {
          await response.body?.cancel();
          // The stream is optional for servers, and only a POST tells whether the session lives.
          this.#saw(undefined);
          return;
        }
        this.#saw(undefined);
        const read = await this.#options.read(response);
        lastId = read.lastEventId ?? lastId;
        ({ retryMs } = read);
        if (read.lastEventId !== undefined) backoff.reset();
      } catch (error) {
        this.#saw(`its event stream cannot be opened: ${reasonOf(error)}`);
        this.#options.failed(error);
      }
      const pauseMs = backoff.next();
      await Bun.sleep(retryMs ?? pauseMs);
    }
  }

  /** Opens it no more. */
  close(): void {
    this.#saw(undefined);
    this.#isClosed = true;
  }

  /** Logs and reports why the GET stream cannot be opened for now, or that it can. */
  #saw(problem: string | undefined): void {
    if (this.#isClosed || problem === this.#problem) return;
    this.#problem = problem;
    this.#options.sawStream?.(problem);
    const { log, address } = this.#options;
    if (problem === undefined) log.info("the HTTP upstream's event stream is open again", { address });
    else log.warn("the HTTP upstream's event stream is tried again", { address, reason: problem });
  }
}
