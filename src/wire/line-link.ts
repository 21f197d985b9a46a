import { within } from "../deadline.ts";
import { LineSplitter } from "../lines.ts";
import { MAX_FRAME_BYTES, asLine } from "./frame.ts";
import { Inbox } from "./inbox.ts";
import type { Link, LinkHandlers } from "./link.ts";

/** How long a peer that takes no more may go on speaking. One that has ended, as nearly all such have, is quiet at once. */
const LAST_WORDS_MS = 2000;

/** The two streams of a wire on which a frame is a line. */
export interface LineStreams {
  input: ReadableStream<Uint8Array>;
  output: Bun.FileSink;
  /** Ends whatever is behind the streams, when the link is closed from our side. */
  end(): void;
  /** Why the input has ended, when it has. */
  reason(): Promise<string>;
  /** Told the length of a line that is no frame; it is not relayed. */
  onNoise(bytes: number): void;
  /** Told why reading or writing a stream has failed. */
  onFailure(error: unknown): void;
}

/** A link over two streams of lines, as MCP's stdio has it. */
export class LineLink implements Link {
  readonly wire = "stdio";
  readonly #streams: LineStreams;
  readonly #inbox = new Inbox();
  #reading: Promise<void> | undefined;
  #isBroken = false;
  #closed = false;

  constructor(streams: LineStreams) {
    this.#streams = streams;
  }

  open(handlers: LinkHandlers): void {
    this.#inbox.open(handlers);
    this.#reading = this.#read();
  }

  send(frame: string): boolean {
    if (this.#closed || this.#isBroken) return true;
    try {
      const { output } = this.#streams;
      void output.write(`${asLine(frame)}\n`);
      const flushed = output.flush();
      if (!(flushed instanceof Promise)) return true;
      flushed.then(
        () => this.#inbox.drained(),
        (error: unknown) => void this.#break(error),
      );
      return false;
    } catch (error) {
      void this.#break(error);
      return true;
    }
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
    this.#streams.end();
    this.ended("closed by Dewey");
  }

  /** Tells the end, once. What was asked before the input ended can still be answered, until the link is closed. */
  ended(reason: string): void {
    this.#inbox.closed(reason);
  }

  /** What it has said before comes first, and how its output ends tells more than that it takes no more. */
  async #break(error: unknown): Promise<void> {
    if (this.#isBroken) return;
    this.#isBroken = true;
    if (!this.#closed) this.#streams.onFailure(error);
    if (this.#reading) await within(LAST_WORDS_MS, this.#reading, () => {});
    this.ended("it reads no more");
    this.close();
  }

  async #read(): Promise<void> {
    const splitter = new LineSplitter(MAX_FRAME_BYTES);
    try {
      for await (const chunk of this.#streams.input) {
        for (const line of splitter.push(chunk)) {
          if (this.#inbox.isFull) await this.#inbox.room();
          if (this.#closed) return;
          if (line.isCut) return this.#refuse();
          this.#deliver(line.text);
        }
        if (splitter.unfinishedBytes > MAX_FRAME_BYTES) return this.#refuse();
      }
    } catch (error) {
      // A stream that breaks has ended.
      if (!this.#closed) this.#streams.onFailure(error);
    }
    this.ended(await this.#streams.reason());
  }

  #refuse(): void {
    this.ended(`it has sent a frame of more than ${MAX_FRAME_BYTES} bytes`);
    this.close();
  }

  #deliver(line: string): void {
    if (line === "") return;
    if (isFrame(line)) this.#inbox.frame(line);
    else this.#streams.onNoise(line.length);
  }
}

/**
 * Programs print all sorts of things to their stdout. Looking for the word that every JSON-RPC message holds decides
 * nearly always without parsing; only what lacks it is looked at closely.
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
