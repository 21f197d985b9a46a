/** Seeded text that resembles natural language: the same in every run, with common and rare words. */
export class Writer {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** Words, until there are this many characters. */
  text(characters: number): string {
    let text = "";
    while (text.length < characters) text += `${this.#word()} `;
    return text
      .slice(0, characters - 1)
      .trimEnd()
      .padEnd(characters, ".");
  }

  /** From 0 (inclusive) to 1 (exclusive), by mulberry32. */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** Word number n occurs about 1/n times as often as the first (Zipf). */
  #word(): string {
    return wordNumber(Math.floor(Math.exp(this.random() * Math.log(VOCABULARY))));
  }
}

/** The vocabulary. */
const VOCABULARY = 50_000;
const syllables = [
  "ta",
  "ri",
  "mon",
  "el",
  "ka",
  "son",
  "ve",
  "lu",
  "ber",
  "no",
  "shi",
  "dar",
  "pe",
  "gol",
  "fi",
  "wen",
];

function wordNumber(number: number): string {
  let word = "";
  for (let rest = number; rest > 0; rest = Math.floor(rest / syllables.length))
    word += syllables[rest % syllables.length];
  return word === "" ? "the" : word;
}
