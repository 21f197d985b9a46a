import { MAX_FRAME_BYTES, asLine } from "./frame.ts";
import { Inbox } from "./inbox.ts";
import type { Link, LinkHandlers } from "./link.ts";

const NEWLINE = 0x0a;
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
  /** A line that is no frame: it is not relayed. */
  onNoise(bytes: number): void;
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
        () => void this.#break(),
      );
      return false;
    } catch {
      void this.#break();
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
  async #break(): Promise<void> {
    if (this.#isBroken) return;
    this.#isBroken = true;
    await Promise.race([this.#reading, Bun.sleep(LAST_WORDS_MS)]);
    this.ended("it reads no more");
    this.close();
  }

  async #read(): Promise<void> {
    const splitter = new LineSplitter();
    try {
      for await (const chunk of this.#streams.input) {
        for (const line of splitter.push(chunk)) {
          if (this.#inbox.isFull) await this.#inbox.room();
          if (this.#closed) return;
          this.#deliver(line);
        }
        if (splitter.pendingBytes > MAX_FRAME_BYTES) {
          this.ended(`it has sent a frame of more than ${MAX_FRAME_BYTES} bytes`);
          this.close();
          return;
        }
      }
    } catch {
      // A stream that breaks has ended.
    }
    this.ended(await this.#streams.reason());
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

/** Cuts a stream of bytes into lines. A line that comes in many chunks is joined once, when its end is there. */
export class LineSplitter {
  #parts: Uint8Array[] = [];
  pendingBytes = 0;

  /** The lines that end in this chunk, without their line ends. */
  push(chunk: Uint8Array): string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      lines.push(this.#finish(chunk.subarray(start, end)));
      start = end + 1;
    }
    if (start < chunk.length) {
      // The stream may use the chunk's memory again.
      this.#parts.push(chunk.slice(start));
      this.pendingBytes += chunk.length - start;
    }
    return lines;
  }

  /** What has come of a line whose end has not. */
  take(): string {
    return this.#finish(new Uint8Array());
  }

  #finish(last: Uint8Array): string {
    const bytes = this.#parts.length === 0 ? last : Buffer.concat([...this.#parts, last]);
    this.#parts = [];
    this.pendingBytes = 0;
    const text = new TextDecoder().decode(bytes);
    return text.endsWith("\r") ? text.slice(0, -1) : text;
  }
}
