/** Values in the shape of secrets, generated from a seed: none is in the repository, and none is real. */
export interface Values {
  letters(length: number): string;
  alnum(length: number): string;
  lower(length: number): string;
  upper(length: number): string;
  hex(length: number): string;
  digits(length: number): string;
  /** Letters, digits, `-` and `_`. */
  url(length: number): string;
  /** Base64 of random bytes, with its padding. */
  base64(bytes: number): string;
  uuid(): string;
  /** A password as programs make them. */
  strong(): string;
  /** A password as people choose them. */
  human(): string;
  /** Lines of base64 of a key of so many bytes, 64 characters each. */
  pem(bytes: number): string;
  pick<T>(of: readonly T[]): T;
}

const DIGITS = "0123456789";
const LOWER = "abcdefghijklmnopqrstuvwxyz";
const UPPER = LOWER.toUpperCase();
const PEOPLE = ["Otter", "Kestrel", "Walnut", "Harbor", "Falcon", "Violet", "Copper", "Maple", "Tundra", "Saffron"];

export function valuesFrom(seed: number): Values {
  let state = seed >>> 0;
  /** Mulberry32. */
  function random(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }
  const below = (limit: number) => Math.floor(random() * limit);
  const of = (alphabet: string, length: number) =>
    Array.from({ length }, () => alphabet[below(alphabet.length)]).join("");
  const pick = <T>(choices: readonly T[]): T => choices[below(choices.length)] as T;
  const base64 = (bytes: number) => Buffer.from(Array.from({ length: bytes }, () => below(256))).toString("base64");
  const hex = (length: number) => of("0123456789abcdef", length);
  return {
    letters: (length) => of(LOWER + UPPER, length),
    alnum: (length) => of(LOWER + UPPER + DIGITS, length),
    lower: (length) => of(LOWER + DIGITS, length),
    upper: (length) => of(UPPER + DIGITS, length),
    hex,
    digits: (length) => of(DIGITS, length),
    url: (length) => of(LOWER + UPPER + DIGITS, 1) + of(`${LOWER + UPPER + DIGITS}-_`, length - 2) + of(LOWER, 1),
    base64,
    uuid: () => `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}`,
    strong: () =>
      of(LOWER, 3) + of(UPPER, 3) + of(DIGITS, 3) + pick(["#", "!", "%", "+"]) + of(LOWER + UPPER + DIGITS, 6),
    human: () => pick(PEOPLE) + pick(["", "-", "_"]) + of(DIGITS, 3) + pick(["", "!", "?"]),
    pem: (bytes) => (base64(bytes).match(/.{1,64}/g) ?? []).join("\n"),
    pick,
  };
}
