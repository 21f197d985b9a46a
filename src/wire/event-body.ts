import { MAX_QUEUE_BYTES } from "./limits.ts";
import { inPieces } from "./pieces.ts";
import { StallWatch } from "./stall-watch.ts";

export interface EventBodyOptions {
  /** Called when the client has read something. */
  taken(): void;
  /** Called once, when the body is sent completely, or the client has left or was disconnected. */
  over(): void;
  stallLimitMs?: number | undefined;
}

/** The body of an HTTP response, written bit by bit and sent as fast as the client reads. */
export class EventBody {
  readonly stream: ReadableStream<Uint8Array>;
  /** Bytes that the client has not read. */
  queuedBytes = 0;
  readonly #options: EventBodyOptions;
  readonly #encoder = new TextEncoder();
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #queue: Uint8Array[] = [];
  #more = Promise.withResolvers<void>();
  #ending = false;
  #isOver = false;
  #takenBytes = 0;
  readonly #stall: StallWatch;

  constructor(options: EventBodyOptions) {
    this.#options = options;
    this.#stall = new StallWatch({
      takenBytes: () => this.#takenBytes,
      stalled: () => this.#cutOff(),
      limitMs: options.stallLimitMs,
    });
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller: ReadableStreamDefaultController<Uint8Array>) => void (this.#controller = controller),
        pull: () => this.#pull(),
        cancel: () => this.#end(),
      },
      // The stream buffers nothing itself, so that the queue is counted here alone.
      { highWaterMark: 0 },
    );
  }

  write(text: string): void {
    if (this.#ending) return;
    const bytes = this.#encoder.encode(text);
    this.#queue.push(...inPieces(bytes));
    this.queuedBytes += bytes.length;
    this.#stall.start();
    this.#wake();
    if (this.queuedBytes > MAX_QUEUE_BYTES) this.#cutOff();
  }

  /** Puts this text in place of everything that was written. Only for a body that has not begun to be read. */
  replace(text: string): void {
    this.#queue = [];
    this.queuedBytes = 0;
    this.write(text);
  }

  /** Ends the body when the client has read everything. */
  end(): void {
    this.#ending = true;
    this.#wake();
  }

  async #pull(): Promise<void> {
    while (this.#queue.length === 0 && !this.#ending) await this.#more.promise;
    const chunk = this.#queue.shift();
    if (chunk) {
      this.queuedBytes -= chunk.length;
      this.#takenBytes += chunk.length;
      this.#controller?.enqueue(chunk);
      this.#options.taken();
    }
    if (this.#queue.length > 0) return;
    this.#stall.stop();
    if (!this.#ending || this.#isOver) return;
    this.#controller?.close();
    this.#end();
  }

  #cutOff(): void {
    if (this.#isOver) return;
    this.#controller?.error(new Error("the client reads nothing"));
    this.#end();
  }

  #wake(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#ending = true;
    this.#stall.stop();
    this.#queue = [];
    this.queuedBytes = 0;
    this.#wake();
    this.#options.over();
  }
}
