import { LineSplitter } from "../lines.ts";
import type { Log } from "../log.ts";

/** Of a line, so much is logged. */
const MAX_LOGGED_CHARACTERS = 2000;
/** Of a line that does not end, so much is kept. */
const MAX_LINE_BYTES = 64 * 1024;
/** Lines of a key that are hidden at most, should its end never come: one of 16,384 bits has about 200. */
const MAX_KEY_LINES = 250;

/** A private key's first line, unless its end stands there too: then it is seen by looking at that line alone. */
const KEY_BEGINS = /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?!.*-----END )/;
const KEY_ENDS = /-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----/;
/** What follows the first line of a key, whatever a program puts around it: base64, a header, or nothing. */
const KEY_GOES_ON = /[A-Za-z0-9+/=]{40}|^[\w-]{1,40}: |^\s*$/;

/** Logs what a command prints on its stderr, line by line. The log takes out what one line shows to be secret. */
export async function logStderr(stream: ReadableStream<Uint8Array>, log: Log, command: string): Promise<void> {
  const splitter = new LineSplitter(MAX_LINE_BYTES);
  const cover = new KeyCover();
  const tell = (line: string) => {
    const shown = cover.shown(line);
    if (shown !== undefined) log.info("stderr", { command, line: beginning(shown) });
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

/** Hides a private key that is printed over several lines, which no look at a single line would recognise. */
class KeyCover {
  /** Lines of the key so far; undefined where there is none. */
  #lines: number | undefined;

  /** What may be shown of a line; undefined for nothing. */
  shown(line: string): string | undefined {
    if (this.#lines === undefined) {
      if (KEY_BEGINS.test(line)) this.#lines = 0;
      return line;
    }
    this.#lines += 1;
    const isFirst = this.#lines === 1;
    // Programs also speak of keys, and what they say then is to be read.
    if (isFirst && !KEY_GOES_ON.test(line)) {
      this.#lines = undefined;
      return this.shown(line);
    }
    if (KEY_ENDS.test(line) || this.#lines === MAX_KEY_LINES) this.#lines = undefined;
    return isFirst ? "[redacted: private key]" : undefined;
  }
}

/** The beginning of a long line. The word that would be cut is left out: half a secret is not recognised as one. */
function beginning(line: string): string {
  if (line.length <= MAX_LOGGED_CHARACTERS) return line;
  return `${line.slice(0, MAX_LOGGED_CHARACTERS).replace(/[^\s"',;]+$/, "")}…`;
}
