import type { Log } from "../log.ts";

/** Size of the chunks that are handed on, so that a slow client makes visible progress. */
const CHUNK_BYTES = 64 * 1024;

export interface BackupDownloadOptions {
  archive: ReadableStream<Uint8Array>;
  /** A client that takes nothing for this long is disconnected: the backup holds a connection and a snapshot of the database. */
  stallLimitMs: number;
  log: Log;
  /** Called once, when the archive is sent completely, or the client has left or was disconnected. */
  over(): void;
}

/** A backup on its way to a client, read from the database as fast as the client takes it. */
export class BackupDownload {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #options: BackupDownloadOptions;
  readonly #archive: { read(): Promise<{ value?: Uint8Array | undefined }>; cancel(): Promise<void> };
  #rest: Uint8Array = new Uint8Array();
  #stall: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  constructor(options: BackupDownloadOptions) {
    this.#options = options;
    this.#archive = options.archive.getReader();
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => this.#watch(controller),
        pull: (controller) => this.#pull(controller),
        cancel: () => this.cancel(),
      },
      { highWaterMark: 0 },
    );
  }

  /** Ends the download before its end. */
  async cancel(): Promise<void> {
    if (this.#isOver) return;
    this.#end();
    await this.#archive.cancel().catch(() => {});
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    clearTimeout(this.#stall);
    try {
      if (this.#rest.length === 0) this.#rest = (await this.#archive.read()).value ?? this.#rest;
    } catch (error) {
      // A client may leave while the next chunk is being read, which then fails too.
      if (!this.#isOver) this.#options.log.error("a backup was interrupted", { error });
      this.#end();
      return controller.error(error);
    }
    if (this.#isOver) return;
    if (this.#rest.length === 0) {
      this.#end();
      return controller.close();
    }
    controller.enqueue(this.#rest.subarray(0, CHUNK_BYTES));
    this.#rest = this.#rest.subarray(CHUNK_BYTES);
    this.#watch(controller);
  }

  /** Waits for the client to take what it was given. */
  #watch(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#stall = setTimeout(() => {
      this.#options.log.warn("a backup was ended: its client took nothing for too long");
      controller.error(new Error("the client reads nothing"));
      void this.cancel();
    }, this.#options.stallLimitMs);
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#stall);
    this.#options.over();
  }
}
