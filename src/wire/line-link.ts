import { within } from "../deadline.ts";
import { LineSplitter } from "../lines.ts";
import { MAX_FRAME_BYTES, asLine } from "./frame.ts";
import { Inbox } from "./inbox.ts";
import type { Link, LinkHandlers } from "./link.ts";
import { LineWriter } from "./line-writer.ts";

/** How long to read on from a peer that has stopped reading. Nearly always it has exited, and its output ends at once. */
const LAST_WORDS_MS = 2000;

/** The two streams of a wire that carries one frame per line. */
export interface LineStreams {
  input: ReadableStream<Uint8Array>;
  output: Bun.FileSink;
  /** Ends the output and the program behind it; called once our side has closed the link and the last frame is taken. */
  end(): void | Promise<void>;
  /** Why the input has ended; called once it has. */
  reason(): Promise<string>;
  /** The exit code of the program behind the streams, once `reason` has resolved. */
  exitCode?(): number | undefined;
  /** Whether a line is relayed; by default every JSON object or array is. */
  isFrame?(line: string): boolean;
  /** Told a line that is no frame, and its length; it is not relayed. */
  onNoise(bytes: number, line: string): void;
  /** Told why reading or writing a stream has failed. */
  onFailure(error: unknown): void;
}

/** A link over two streams of lines, such as MCP's stdio. */
export class LineLink implements Link {
  readonly wire = "stdio";
  readonly #streams: LineStreams;
  readonly #inbox = new Inbox();
  readonly #writer: LineWriter;
  readonly #finished = Promise.withResolvers<void>();
  #reading: Promise<void> | undefined;
  #isBroken = false;
  #closed = false;

  constructor(streams: LineStreams) {
    this.#streams = streams;
    this.#writer = new LineWriter({
      output: streams.output,
      drained: () => this.#inbox.drained(),
      failed: (error) => void this.#break(error),
    });
  }

  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  open(handlers: LinkHandlers): void {
    this.#inbox.open(handlers);
    this.#reading = this.#read();
  }

  send(frame: string): boolean {
    if (this.#closed || this.#isBroken) return true;
    return this.#writer.write(`${asLine(frame)}\n`);
  }

  pause(): void {
    this.#inbox.pause();
  }

  resume(): void {
    this.#inbox.resume();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.ended("closed by Dewey");
    void this.#finish();
  }

  async #finish(): Promise<void> {
    if (this.#writer.isBlocked) await this.#writer.flushed();
    await this.#streams.end();
    this.#finished.resolve();
  }

  /** Reports the end of the input, once. Frames can still be sent until the link is closed. */
  ended(reason: string, exitCode?: number): void {
    this.#inbox.closed(reason, exitCode);
  }

  /** Reads the rest of the peer's output first: frames may be left in it, and its end tells more than a failed write. */
  async #break(error: unknown): Promise<void> {
    if (this.#isBroken) return;
    this.#isBroken = true;
    if (!this.#closed) this.#streams.onFailure(error);
    if (this.#reading) await within(LAST_WORDS_MS, this.#reading, () => {});
    this.ended("it stopped reading");
    this.close();
  }

  async #read(): Promise<void> {
    const splitter = new LineSplitter(MAX_FRAME_BYTES);
    try {
      for await (const chunk of this.#streams.input) {
        // A program that cannot write would not read its last frames either.
        if (this.#closed) continue;
        for (const line of splitter.push(chunk)) {
          if (this.#inbox.isFull) await this.#inbox.room();
          if (this.#closed) break;
          if (line.isCut) return this.#refuse();
          this.#deliver(line.text);
        }
        if (splitter.unfinishedBytes > MAX_FRAME_BYTES) return this.#refuse();
      }
    } catch (error) {
      // A broken stream has ended.
      if (!this.#closed) this.#streams.onFailure(error);
    }
    const reason = await this.#streams.reason();
    this.ended(reason, this.#streams.exitCode?.());
  }

  #refuse(): void {
    this.ended(`it sent a frame of more than ${MAX_FRAME_BYTES} bytes`);
    this.close();
  }

  #deliver(line: string): void {
    if (line === "") return;
    const isRelayed = this.#streams.isFrame?.(line) ?? isFrame(line);
    if (isRelayed) this.#inbox.frame(line);
    else this.#streams.onNoise(line.length, line);
  }
}

/**
 * Programs also print other text to stdout. Searching for the word that every JSON-RPC message contains decides nearly
 * always without parsing; only lines without it are parsed.
 */
function isFrame(line: string): boolean {
  const first = line[0];
  if ((first === "{" || first === "[") && line.includes('"jsonrpc"')) return true;
  try {
    return typeof JSON.parse(line) === "object";
  } catch {
    return false;
  }
}
