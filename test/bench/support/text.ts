/** Text that looks like what people write: the same at every run, with common words and rare ones as in any language. */
export class Writer {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** Words until there are so many characters. */
  text(characters: number): string {
    let text = "";
    while (text.length < characters) text += `${this.#word()} `;
    return text
      .slice(0, characters - 1)
      .trimEnd()
      .padEnd(characters, ".");
  }

  /** From 0 on, below 1. (Mulberry32.) */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** Word number n comes about 1/n times as often as the first (Zipf). */
  #word(): string {
    return wordNumber(Math.floor(Math.exp(this.random() * Math.log(VOCABULARY))));
  }
}

/** Words that there are. */
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
