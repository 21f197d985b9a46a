import { MAX_QUEUE_BYTES, STALL_LIMIT_MS } from "./limits.ts";

/** Size of the chunks that are handed on, so that a slow client makes visible progress on a long frame. */
const PIECE_BYTES = 256 * 1024;

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
  #takenCount = 0;
  #stallCheck: ReturnType<typeof setInterval> | undefined;

  constructor(options: EventBodyOptions) {
    this.#options = options;
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
    for (let start = 0; start < bytes.length; start += PIECE_BYTES)
      this.#queue.push(bytes.subarray(start, start + PIECE_BYTES));
    this.queuedBytes += bytes.length;
    this.#stallCheck ??= this.#watch();
    this.#wake();
    if (this.queuedBytes > MAX_QUEUE_BYTES) this.#cutOff();
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
      this.#takenCount += 1;
      this.#controller?.enqueue(chunk);
      this.#options.taken();
    }
    if (this.#queue.length > 0) return;
    clearInterval(this.#stallCheck);
    this.#stallCheck = undefined;
    if (!this.#ending || this.#isOver) return;
    this.#controller?.close();
    this.#end();
  }

  #watch(): ReturnType<typeof setInterval> {
    let before = this.#takenCount;
    return setInterval(() => {
      if (before === this.#takenCount) this.#cutOff();
      before = this.#takenCount;
    }, this.#options.stallLimitMs ?? STALL_LIMIT_MS);
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
    clearInterval(this.#stallCheck);
    this.#queue = [];
    this.queuedBytes = 0;
    this.#wake();
    this.#options.over();
  }
}
