import { MAX_FRAME_BYTES } from "./frame.ts";
import { whileTaken } from "./stall-watch.ts";

/** From here on the queue reports backpressure: room for two of the largest frames in flight. */
const MAX_SENDING_CHARACTERS = 2 * MAX_FRAME_BYTES;

export interface PostQueueOptions {
  /** Posts a frame: through `carry`, or not at all, with `taken`. Resolves when the next may be posted; never rejects. */
  post(frame: string): Promise<void>;
  /** Called when there is room again after `send` returned false. */
  drained(): void;
  maxSendingCharacters?: number | undefined;
}

/** The frames on their way to a server that takes each with a POST of its own, in order. */
export class PostQueue {
  readonly #options: PostQueueOptions;
  /** Resolves when the next frame may be posted. */
  #order: Promise<void> = Promise.resolve();
  /** One for each frame that is being posted. */
  readonly #arriving = new Set<Promise<void>>();
  readonly #maxSendingCharacters: number;
  #sendingCharacters = 0;
  #takenCharacters = 0;
  #isFull = false;

  constructor(options: PostQueueOptions) {
    this.#options = options;
    this.#maxSendingCharacters = options.maxSendingCharacters ?? MAX_SENDING_CHARACTERS;
  }

  /** Returns false when the server is slower than its client. */
  send(frame: string): boolean {
    this.#sendingCharacters += frame.length;
    this.#order = this.#order.then(() => this.#options.post(frame));
    this.#isFull = this.#sendingCharacters >= this.#maxSendingCharacters;
    return !this.#isFull;
  }

  /** Posts a frame by `posting`, which resolves or rejects when the server has it or will not take it. */
  async carry<Value>(frame: string, posting: () => Promise<Value>): Promise<Value> {
    const arrival = Promise.withResolvers<void>();
    this.#arriving.add(arrival.promise);
    try {
      return await posting();
    } finally {
      arrival.resolve();
      this.#arriving.delete(arrival.promise);
      this.taken(frame);
    }
  }

  /** Notes that a frame is no longer on its way. */
  taken(frame: string): void {
    this.#sendingCharacters -= frame.length;
    this.#takenCharacters += frame.length;
    if (!this.#isFull || this.#sendingCharacters >= this.#maxSendingCharacters) return;
    this.#isFull = false;
    this.#options.drained();
  }

  /** Resolves when the frames that are being posted have arrived. */
  async arrived(): Promise<void> {
    await Promise.all(this.#arriving);
  }

  /** Resolves when every frame has arrived. */
  async emptied(): Promise<void> {
    await this.#order;
    await this.arrived();
  }

  /** Resolves when every frame has arrived, or once the server takes no more of them. */
  async flushed(): Promise<void> {
    if (this.#sendingCharacters > 0) await whileTaken(this.emptied(), () => this.#takenCharacters);
  }
}
