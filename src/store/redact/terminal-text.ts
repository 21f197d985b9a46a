import type { Cuts } from "./cuts.ts";

/** What a terminal's colours begin with, as it is and as JSON and code write it. */
const beginnings = ["\u001b[", "001b[", "001B[", "x1b[", "x1B[", "033[", "\\e["];
/** A sequence that colours text; the counts bound what is read behind each beginning. */
// oxlint-disable-next-line no-control-regex
const sequence = /(?:\u001b|\\{1,7}(?:u001[bB]|x1[bB]|033|e))\[\d{0,3}(?:[;:]\d{0,3}){0,16}[A-Za-z]/g;

/** A text without the sequences that colour it, and where each of its characters stands in the text with them. */
export class Uncoloured {
  readonly text: string;
  /** Where parts begin: in the text without sequences, and in the one with them. */
  readonly #parts: { at: number; place: number }[] = [];

  private constructor(coloured: string) {
    const pieces: string[] = [];
    let [at, place] = [0, 0];
    const keep = (end: number) => {
      this.#parts.push({ at, place });
      pieces.push(coloured.slice(place, end));
      at += end - place;
    };
    for (const found of coloured.matchAll(sequence)) {
      keep(found.index);
      place = found.index + found[0].length;
    }
    keep(coloured.length);
    this.text = pieces.join("");
  }

  /** Undefined for a text without colours. */
  static of(text: string): Uncoloured | undefined {
    return beginnings.some((each) => text.includes(each)) ? new Uncoloured(text) : undefined;
  }

  /** The same cuts in the coloured text. A sequence within a secret is cut with it. */
  placed(cuts: Cuts): Cuts {
    return cuts.moved((start, end) => [this.#placeOf(start), this.#placeOf(end - 1) + 1]);
  }

  #placeOf(at: number): number {
    let [low, high] = [0, this.#parts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#parts[middle]?.at ?? 0) <= at) low = middle;
      else high = middle - 1;
    }
    const part = this.#parts[low];
    return part === undefined ? at : at - part.at + part.place;
  }
}
