import { LineSplitter } from "../lines.ts";
import type { Log } from "../log.ts";

/** Limit on the part of a line that is logged. */
const MAX_LOGGED_CHARACTERS = 2000;
/** Limit on the part of a line that is held in memory. */
const MAX_LINE_BYTES = 64 * 1024;
/** Limit on hidden lines, for a key without an end: one of 16,384 bits has about 200 lines. */
const MAX_KEY_LINES = 250;

/** First line of a private key that goes on: the log redacts a key on one line by itself. */
const KEY_BEGINS = /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----/;
const END = "-----END ";
const KEY_ENDS = /-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----/;
/** Second line of a key, with any text around it: base64, a header, or an empty line. */
const KEY_GOES_ON = /[A-Za-z0-9+/=]{40}|^[\w-]{1,40}: |^\s*$/;

/** Logs a command's stderr line by line. The log masks secrets that are recognised within a line. */
export async function logStderr(stream: ReadableStream<Uint8Array>, log: Log, command: string): Promise<void> {
  const splitter = new LineSplitter(MAX_LINE_BYTES);
  const quotes = new LineQuotes();
  const tell = (line: string) => {
    const shown = quotes.shown(line);
    if (shown !== undefined) log.info("stderr", { command, line: shown });
  };
  let isTold = false;
  for await (const chunk of stream) {
    for (const line of splitter.push(chunk)) {
      if (!isTold) tell(line.text);
      isTold = false;
    }
    if (isTold || splitter.unfinishedBytes <= MAX_LINE_BYTES) continue;
    tell(splitter.unfinished.text);
    isTold = true;
  }
  const last = splitter.unfinished.text;
  if (last !== "" && !isTold) tell(last);
}

/** Passes a command's stderr on as it comes, and only as fast as it is taken. */
export async function passStderr(
  stream: ReadableStream<Uint8Array>,
  last: LastLine,
  pass: (chunk: Uint8Array) => Promise<void>,
): Promise<void> {
  for await (const chunk of stream) {
    last.push(chunk);
    await pass(chunk);
  }
}

/** The last line of a stream that is not empty. */
export class LastLine {
  readonly #splitter = new LineSplitter(MAX_LINE_BYTES);
  #complete = "";

  push(chunk: Uint8Array): void {
    for (const { text } of this.#splitter.push(chunk)) if (text.trim() !== "") this.#complete = text;
  }

  /** The line, cut when it is long. */
  get text(): string {
    const { text } = this.#splitter.unfinished;
    return beginning((text.trim() === "" ? this.#complete : text).trim());
  }
}

/** The lines of a stream as they may be logged: cut when they are long, and without private keys. */
export class LineQuotes {
  readonly #cover = new KeyCover();

  /** Undefined for a line that must not be shown. */
  shown(line: string): string | undefined {
    const shown = this.#cover.shown(line);
    return shown === undefined ? undefined : beginning(shown);
  }
}

/** Hides a private key that spans several lines; no single line of it can be recognised. */
class KeyCover {
  /** Lines of the key so far; undefined outside of a key. */
  #lines: number | undefined;

  /** The line as it may be logged; undefined to log nothing. */
  shown(line: string): string | undefined {
    if (this.#lines === undefined) {
      if (KEY_BEGINS.test(line.slice(Math.max(0, line.lastIndexOf(END))))) this.#lines = 0;
      return line;
    }
    this.#lines += 1;
    const isFirst = this.#lines === 1;
    // It was only a sentence about a key, and the next line is ordinary text.
    if (isFirst && !KEY_GOES_ON.test(line)) {
      this.#lines = undefined;
      return this.shown(line);
    }
    if (KEY_ENDS.test(line) || this.#lines === MAX_KEY_LINES) this.#lines = undefined;
    return isFirst ? "[redacted: private key]" : undefined;
  }
}

/** Cuts a long line before the last word that fits only in part: half a secret is not recognised as one. */
function beginning(line: string): string {
  if (line.length <= MAX_LOGGED_CHARACTERS) return line;
  return `${line.slice(0, MAX_LOGGED_CHARACTERS).replace(/[^\s"',;]+$/, "")}…`;
}
