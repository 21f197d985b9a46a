import type { Scan } from "./scan.ts";

const KIND = "private key";
/** Longest key that is cut with its end: RSA of 16,384 bits takes 12,500 characters, and decoration is added to each line. */
const MAX_KEY_CHARACTERS = 30_000;
/** Longest line that is looked at; a whole key may stand on one. */
const MAX_LINE_CHARACTERS = 20_000;
/** Lines of a key whose end is missing, at most. */
const MAX_KEY_LINES = 250;
/** Shortest base64 of a key whose end is missing: a sentence about keys has none. */
const MIN_BODY_CHARACTERS = 40;
/** Part of what stands between begin and end that must be base64; the rest is what tools write around each line. */
const MIN_BODY_PART = 0.4;

const NAME = "(?:[A-Z0-9]+ )*(?:PRIVATE KEY(?: BLOCK)?|OpenVPN Static key V1)";
const begins = new RegExp(`-{4,5} ?BEGIN ${NAME} ?-{4,5}`, "y");
const MARK_HYPHENS = 5;
const ends = new RegExp(`-{4,5} ?END ${NAME} ?-{4,5}`, "g");
/**
 * Line ends, as they are or as JSON and code write them, however often it was quoted. A row of backslashes is read from its
 * first one only: from each of them, a long row would take time in the square of its length.
 */
const lineEnds = /\r?\n|(?<!\\)\\+(?:r(?:\\+n)?|n)/g;
const anotherKey = /-{4,5} ?BEGIN /g;
const longRuns = /[A-Za-z0-9+/=]{16,}/g;
const emptyOrHeader = /^[^A-Za-z]*(?:(?:Proc-Type|DEK-Info|Version|Comment|Hash|Charset): [^]*)?$/;
/** File and line before each line, as grep prints them. */
const filePlace = /^[\w./-]{1,200}?[-:]\d{1,6}[-:]/;
const shortEnd = /^[^A-Za-z]*[A-Za-z0-9+/]{1,64}={0,2}\W{0,6}$/;

/** The next match of a global expression in a text, which is looked for again only behind it. */
class NextMatch {
  readonly #text: string;
  readonly #expression: RegExp;
  #from = -1;
  #start = -1;
  #end = -1;

  constructor(text: string, expression: RegExp) {
    this.#text = text;
    this.#expression = expression;
  }

  /** Bounds of the first match at or behind `from`; both are the text's length when there is none. */
  after(from: number): { start: number; end: number } {
    if (this.#from === -1 || from < this.#from || from > this.#start) this.#look(from);
    return { start: this.#start, end: this.#end };
  }

  #look(from: number): void {
    this.#expression.lastIndex = from;
    const found = this.#expression.exec(this.#text);
    this.#from = from;
    this.#start = found?.index ?? this.#text.length;
    this.#end = this.#start + (found?.[0].length ?? 0);
  }
}

/** Finds private keys in one text. */
export class PrivateKeys {
  readonly #scan: Scan;
  readonly #ends: NextMatch;
  readonly #others: NextMatch;
  readonly #lineEnds: NextMatch;

  constructor(scan: Scan) {
    this.#scan = scan;
    this.#ends = new NextMatch(scan.text, ends);
    this.#others = new NextMatch(scan.text, anotherKey);
    this.#lineEnds = new NextMatch(scan.text, lineEnds);
  }

  /** Cuts a key in PEM or PGP by the last hyphen before `BEGIN`: to its last line, or as far as it goes on. */
  pem(hyphen: number): void {
    const least = Math.max(0, hyphen + 1 - MARK_HYPHENS);
    const start = this.#scan.text[least] === "-" ? least : hyphen - 3;
    begins.lastIndex = start;
    const begin = begins.exec(this.#scan.text);
    if (begin === null) return;
    const from = start + begin[0].length;
    const end = this.#wholeEnd(from) ?? this.#partEnd(from, MAX_KEY_LINES);
    if (end !== undefined) this.#scan.cuts.add(start, end, KIND);
  }

  /** Cuts the lines of a PuTTY key behind `Private-Lines: 14`, which begins at `start`. */
  putty(start: number): void {
    const count = /^Private-Lines: (\d{1,3})/.exec(this.#scan.text.slice(start, start + 20));
    if (count === null) return;
    const from = this.#lineEnds.after(start).end;
    const end = this.#partEnd(from, Number(count[1]));
    if (end !== undefined) this.#scan.cuts.add(from, end, KIND);
  }

  #wholeEnd(from: number): number | undefined {
    const last = this.#ends.after(from);
    const { text } = this.#scan;
    if (last.end === last.start || last.start - from > MAX_KEY_CHARACTERS) return undefined;
    if (this.#others.after(from).start < last.start) return undefined;
    const between = text.slice(from, last.start);
    const body = (between.match(longRuns) ?? []).reduce((sum, run) => sum + run.length, 0);
    return body > 0 && body >= MIN_BODY_PART * between.length ? last.end : undefined;
  }

  /** Where the lines end that can be a key's, with whatever tools write around them; undefined when there are none. */
  #partEnd(from: number, lines: number): number | undefined {
    const { text } = this.#scan;
    const limit = Math.min(text.length, this.#others.after(from).start);
    let end = from;
    let body = 0;
    for (let at = from, count = 0; at < limit && count <= lines; count++) {
      const next = this.#lineEnds.after(at);
      const whole = text.slice(at, Math.min(next.start, limit, at + MAX_LINE_CHARACTERS));
      const place = filePlace.exec(whole)?.[0].length ?? 0;
      const line = whole.slice(place);
      const characters = keyCharacters(line);
      if (characters > 0) {
        body += characters;
        end = at + place + lastRunEnd(line);
      } else if (body > 0 && shortEnd.test(line) && line.trim() !== "") {
        end = at + place + lastRunEnd(line);
        break;
      } else if (at > from && !emptyOrHeader.test(line)) break;
      if (next.start === next.end) break;
      at = next.end;
    }
    return body >= MIN_BODY_CHARACTERS ? end : undefined;
  }
}

/** Characters of a line that can be a key's: runs of base64, which are most of the line. */
function keyCharacters(line: string): number {
  const body = (line.match(longRuns) ?? []).reduce((sum, run) => sum + run.length, 0);
  return body >= MIN_BODY_CHARACTERS && body >= MIN_BODY_PART * line.length ? body : 0;
}

function lastRunEnd(line: string): number {
  let end = line.length;
  while (end > 0 && !/[A-Za-z0-9+/=]/.test(line[end - 1] ?? "")) end -= 1;
  return end;
}
