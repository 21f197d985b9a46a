import { inPieces } from "./pieces.ts";
import { whileTaken } from "./stall-watch.ts";

/** A pipe's size on Linux: smaller pieces of a long line would only cost more calls. */
const PIECE_BYTES = 64 * 1024;

export interface LineWriterOptions {
  output: Bun.FileSink;
  /** Called when everything is taken again after `write` returned false. */
  drained(): void;
  failed(error: unknown): void;
}

/** Writes lines to a pipe, piece by piece, so that it is known whether a slow reader takes any. */
export class LineWriter {
  readonly #options: LineWriterOptions;
  readonly #encoder = new TextEncoder();
  #queue: (string | Uint8Array)[] = [];
  #takenLength = 0;
  /** Present while the reader is slower than we write. */
  #blocked: PromiseWithResolvers<void> | undefined;

  constructor(options: LineWriterOptions) {
    this.#options = options;
  }

  /** Returns false when the line waits for the reader. */
  write(line: string): boolean {
    if (line.length <= PIECE_BYTES) this.#queue.push(line);
    else for (const piece of inPieces(this.#encoder.encode(line), PIECE_BYTES)) this.#queue.push(piece);
    if (!this.#blocked) this.#pour();
    return this.#blocked === undefined;
  }

  /** Resolves when everything is taken or the pipe has failed, or once the reader has taken nothing for the limit. */
  async flushed(): Promise<void> {
    if (this.#blocked) await whileTaken(this.#blocked.promise, () => this.#takenLength);
  }

  get isBlocked(): boolean {
    return this.#blocked !== undefined;
  }

  #pour(): void {
    const { output } = this.#options;
    try {
      for (let piece = this.#queue.shift(); piece !== undefined; piece = this.#queue.shift()) {
        void output.write(piece);
        const flushed = output.flush();
        this.#takenLength += piece.length;
        if (!(flushed instanceof Promise)) continue;
        this.#blocked ??= Promise.withResolvers();
        flushed.then(
          () => this.#pour(),
          (error: unknown) => this.#fail(error),
        );
        return;
      }
      this.#unblock()?.drained();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#queue = [];
    this.#unblock();
    this.#options.failed(error);
  }

  #unblock(): LineWriterOptions | undefined {
    if (!this.#blocked) return undefined;
    this.#blocked.resolve();
    this.#blocked = undefined;
    return this.#options;
  }
}
