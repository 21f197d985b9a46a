/** A set of UTF-16 code units: a table of ASCII, and ranges of the others, both ends included. */
export interface CodeSet {
  ascii: Uint8Array;
  others: [from: number, to: number][];
}

/** A regular expression as a tree. */
export type Node =
  | { type: "set"; set: CodeSet }
  | { type: "assert"; assertion: Assertion }
  | { type: "sequence"; nodes: Node[] }
  | { type: "choice"; nodes: Node[] }
  | { type: "repeat"; node: Node; least: number; most: number; isLazy: boolean };

export type Assertion = "start" | "end" | "boundary" | "inside";

const LAST_CODE = 0xffff;

/** Whether a code unit is in the set. */
export function inSet({ ascii, others }: CodeSet, code: number): boolean {
  if (code < 128) return ascii[code] === 1;
  return others.some(([from, to]) => code >= from && code <= to);
}

/** The tree of a regular expression. Throws a SyntaxError for what cannot be matched in linear time, and names it. */
export function parsePattern(source: string): Node {
  // The language's own parser finds what is no regular expression.
  void new RegExp(source);
  return new Parser(source).whole();
}

class Parser {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  whole(): Node {
    return this.#choice();
  }

  #choice(): Node {
    const nodes = [this.#sequence()];
    while (this.#takes("|")) nodes.push(this.#sequence());
    return nodes.length === 1 ? (nodes[0] as Node) : { type: "choice", nodes };
  }

  #sequence(): Node {
    const nodes: Node[] = [];
    while (this.#at < this.#source.length && !this.#sees("|") && !this.#sees(")")) nodes.push(this.#repeated());
    return { type: "sequence", nodes };
  }

  #repeated(): Node {
    const node = this.#atom();
    const found = /^(?:([*+?])|\{(\d+)(,?)(\d*)\})(\??)/.exec(this.#source.slice(this.#at, this.#at + 30));
    if (found === null) return node;
    this.#at += found[0].length;
    const [, sign, least, comma, most, lazy] = found;
    const isLazy = lazy === "?";
    if (sign !== undefined)
      return { type: "repeat", node, least: sign === "+" ? 1 : 0, most: sign === "?" ? 1 : Infinity, isLazy };
    const upTo = comma === "" ? Number(least) : most === "" ? Infinity : Number(most);
    return { type: "repeat", node, least: Number(least), most: upTo, isLazy };
  }

  #atom(): Node {
    const sign = this.#source[this.#at] ?? "";
    this.#at += 1;
    if (sign === "(") return this.#group();
    if (sign === "[") return { type: "set", set: this.#class() };
    if (sign === ".") return { type: "set", set: codes(inverted(lineEnds)) };
    if (sign === "^") return { type: "assert", assertion: "start" };
    if (sign === "$") return { type: "assert", assertion: "end" };
    if (sign !== "\\") return { type: "set", set: codes([[sign.charCodeAt(0), sign.charCodeAt(0)]]) };
    if (this.#takes("b")) return { type: "assert", assertion: "boundary" };
    if (this.#takes("B")) return { type: "assert", assertion: "inside" };
    if (/[1-9k]/.test(this.#source[this.#at] ?? "")) throw unsupported("a back reference");
    return { type: "set", set: codes(this.#escape()) };
  }

  #group(): Node {
    const found = /^\?(?::|<(?![=!])[^>]*>)/.exec(this.#source.slice(this.#at));
    if (found === null && this.#sees("?"))
      throw unsupported(/^\?<?[=!]/.test(this.#source.slice(this.#at)) ? "a look-ahead or look-behind" : "a modifier");
    this.#at += found?.[0].length ?? 0;
    const node = this.#choice();
    this.#at += 1;
    return node;
  }

  #class(): CodeSet {
    const isNegated = this.#takes("^");
    const ranges: [number, number][] = [];
    while (!this.#takes("]")) {
      const from = this.#classItem();
      const isRange = this.#sees("-") && this.#source[this.#at + 1] !== "]" && from.length === 1;
      if (!isRange) {
        ranges.push(...from);
        continue;
      }
      this.#at += 1;
      const to = this.#classItem();
      ranges.push([from[0]?.[0] ?? 0, to[0]?.[1] ?? 0]);
    }
    return codes(isNegated ? inverted(ranges) : ranges);
  }

  #classItem(): [number, number][] {
    const code = this.#source.charCodeAt(this.#at);
    this.#at += 1;
    if (code !== 92) return [[code, code]];
    if (this.#takes("b")) return [[8, 8]];
    return this.#escape();
  }

  /** What a backslash stands for, of which it has been taken. */
  #escape(): [number, number][] {
    const rest = this.#source.slice(this.#at, this.#at + 5);
    const hex = /^(?:x([\da-fA-F]{2})|u([\da-fA-F]{4}))/.exec(rest);
    this.#at += hex?.[0].length ?? 1;
    if (hex !== null) return single(Number.parseInt(hex[1] ?? hex[2] ?? "", 16));
    const letter = rest[0] ?? "";
    const known = classes[letter];
    if (known !== undefined) return known;
    return single(controls[letter] ?? letter.charCodeAt(0));
  }

  #sees(sign: string): boolean {
    return this.#source[this.#at] === sign;
  }

  #takes(sign: string): boolean {
    if (!this.#sees(sign)) return false;
    this.#at += 1;
    return true;
  }
}

const controls: Record<string, number> = { n: 10, r: 13, t: 9, f: 12, v: 11, "0": 0 };
const single = (code: number): [number, number][] => [[code, code]];
const digits: [number, number][] = [[48, 57]];
const word: [number, number][] = [
  [48, 57],
  [65, 90],
  [95, 95],
  [97, 122],
];
const space: [number, number][] = [
  [9, 13],
  [32, 32],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];
const lineEnds: [number, number][] = [
  [10, 10],
  [13, 13],
  [0x2028, 0x2029],
];
const classes: Record<string, [number, number][]> = {
  d: digits,
  D: inverted(digits),
  w: word,
  W: inverted(word),
  s: space,
  S: inverted(space),
};

function inverted(ranges: [number, number][]): [number, number][] {
  const result: [number, number][] = [];
  let from = 0;
  for (const [start, end] of ranges.toSorted((a, b) => a[0] - b[0])) {
    if (start > from) result.push([from, start - 1]);
    from = Math.max(from, end + 1);
  }
  if (from <= LAST_CODE) result.push([from, LAST_CODE]);
  return result;
}

function codes(ranges: [number, number][]): CodeSet {
  const ascii = new Uint8Array(128);
  for (const [from, to] of ranges) for (let code = from; code <= Math.min(to, 127); code++) ascii[code] = 1;
  return { ascii, others: ranges.filter(([, to]) => to > 127).map(([from, to]) => [Math.max(from, 128), to]) };
}

function unsupported(what: string): SyntaxError {
  return new SyntaxError(`it has ${what}, which can take time without limit; write it without`);
}
