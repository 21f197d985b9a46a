import type { Log } from "../../log.ts";
import { outlineFrame } from "../../wire/outline.ts";
import { inPieces } from "../../wire/pieces.ts";
import { SseReader } from "../../wire/sse.ts";
import { StallWatch } from "../../wire/stall-watch.ts";

export interface RelayedStreamOptions {
  /** The ids of the requests that this stream answers. */
  unanswered: unknown[];
  /** The answer to a request whose stream broke. */
  refusal(id: unknown): string;
  /** Resolves when the frame may go on. */
  take(frame: string): Promise<void>;
  over(): void;
  stallLimitMs?: number | undefined;
  log: Log;
}

/**
 * Relays an upstream's event stream to the client: the same bytes, once the tap has taken their events, and only as fast as
 * the client reads. If the stream breaks and no event had an id to resume from, the open requests are answered with an
 * error.
 */
export class RelayedStream {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #options: RelayedStreamOptions;
  readonly #input: ReturnType<typeof readerOf>;
  readonly #events = new SseReader();
  readonly #unanswered: Map<string, unknown>;
  #hasIds = false;
  /** What was read from the upstream and is not handed on yet. */
  #pieces: Uint8Array[] = [];
  /** Bytes handed on, and those of them that the client has taken. */
  #givenBytes = 0;
  #takenBytes = 0;
  readonly #stall: StallWatch;
  #isOver = false;

  constructor(body: ReadableStream<Uint8Array>, options: RelayedStreamOptions) {
    this.#options = options;
    this.#input = readerOf(body);
    this.#unanswered = new Map(options.unanswered.map((id) => [JSON.stringify(id), id]));
    let client: ReadableStreamDefaultController<Uint8Array> | undefined;
    this.#stall = new StallWatch({
      takenBytes: () => this.#takenBytes,
      stalled: () => this.#cutOff(client),
      limitMs: options.stallLimitMs,
    });
    this.stream = new ReadableStream({
      start: (controller: ReadableStreamDefaultController<Uint8Array>) => void (client = controller),
      pull: (controller: ReadableStreamDefaultController<Uint8Array>) => this.#pull(controller),
      cancel: (reason: unknown) => this.#leave(reason),
    });
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    this.#takenBytes = this.#givenBytes;
    try {
      while (this.#pieces.length === 0) {
        this.#stall.stop();
        const { done, value } = await this.#input.read();
        if (done) {
          this.#end();
          controller.close();
          return;
        }
        await this.#tap(value);
        this.#pieces = inPieces(value);
      }
      const piece = this.#pieces.shift();
      if (this.#isOver || piece === undefined) return;
      controller.enqueue(piece);
      this.#givenBytes += piece.length;
      this.#stall.start();
    } catch (error) {
      await this.#break(controller, error);
    }
  }

  /** Shows the tap the events that end in this chunk. */
  async #tap(chunk: Uint8Array): Promise<void> {
    for (const event of this.#events.push(chunk)) {
      this.#hasIds ||= event.id !== undefined;
      if (event.data === "") continue;
      this.#note(event.data);
      await this.#options.take(event.data);
    }
  }

  #note(frame: string): void {
    if (this.#unanswered.size === 0) return;
    const view = outlineFrame(frame);
    for (const each of view.kind === "batch" ? view.messages : [view])
      if (each.kind === "response") this.#unanswered.delete(each.key);
  }

  async #break(controller: ReadableStreamDefaultController<Uint8Array>, error: unknown): Promise<void> {
    if (this.#isOver) return;
    // The upstream may go on: an event was too large.
    void this.#input.cancel(error).catch(() => {});
    this.#options.log.warn("an event stream of the upstream broke", { unanswered: this.#unanswered.size, error });
    // A resumable stream ends like any other: the client asks for the rest.
    for (const id of this.#hasIds ? [] : this.#unanswered.values()) {
      const frame = this.#options.refusal(id);
      await this.#options.take(frame);
      // The empty line ends an event that was cut off.
      controller.enqueue(new TextEncoder().encode(`\n\nevent: message\ndata: ${frame}\n\n`));
    }
    this.#end();
    controller.close();
  }

  #cutOff(controller: ReadableStreamDefaultController<Uint8Array> | undefined): void {
    controller?.error(new Error("the client takes nothing"));
    void this.#leave("the client takes nothing");
  }

  async #leave(reason: unknown): Promise<void> {
    this.#end();
    await this.#input.cancel(reason).catch(() => {});
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stall.stop();
    this.#options.over();
  }
}

function readerOf(body: ReadableStream<Uint8Array>) {
  return body.getReader();
}
