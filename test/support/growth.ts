import { expect } from "bun:test";

/** Signs that hold words together or part them, and texts that regular expressions are known to stumble over. */
const SIGNS = [...Array.from("-_/.@:~&'\"`*#([<\\ \n1aBé字\0\u001b\u0301"), "> "];
const WORDS = ["", "a", "aB", "1a"];
const OTHERS = [
  "[a](",
  "![[",
  "<!--",
  "<a ",
  "```\n",
  "-_/.@",
  "a1-_b",
  "&amp",
  "--BEGIN A",
  "${a:-",
  '{"a":',
  '\\"',
  "\u0301\u0316",
  "%41",
  "%25",
  "\\u0041",
  "\\\\u0041",
  "&#65;",
  "&aacute;",
  "\u001b[",
  "\u001b[1m",
  "\\e[1;",
  "\u200b",
  "a\u200b",
  "ก\u200b",
  "か\u3099",
  "๑",
  "٣",
  "Ａ",
  "ﷲ",
];

/** What hostile texts are made of: each is repeated until the text is long. */
export const chains: string[] = [...WORDS.flatMap((word) => SIGNS.map((sign) => word + sign)), ...OTHERS];

/** What a secret begins with, before a chain that does not end it. */
export const secretHeads: string[] = [
  "password",
  "password=",
  'password: "',
  '"password": [',
  '{"secret": {',
  "--password ",
  "Authorization: Bearer ",
  "Cookie: a=",
  "curl -u ",
  "https://user:",
  "-----BEGIN RSA PRIVATE KEY-----",
  "-----BEGIN RSA PRIVATE KEY-----\n",
  "Private-Lines: 99\n",
  "kind: Secret\ndata:\n  a: ",
  "| a | password |\n",
  "insert into a (password) values ('",
  "COPY a (password) FROM stdin;\n",
  "<password>",
  "secrets:\n  a: ",
  "eyJhbGciOiJIUzI1NiJ9.",
];

/** A chain of so many characters. */
export function chainOf(piece: string, characters: number): string {
  return piece.repeat(Math.ceil(characters / piece.length)).slice(0, characters);
}

const SIZES = [1000, 10_000, 100_000];
/**
 * How many times as long a text of ten times the length may take: 10 is linear and 100 quadratic. Below the least time it is
 * the clock and the collector of garbage that are measured.
 */
const MOST_GROWTH = 45;
const LEAST_MS = 6;
const ATTEMPTS = 20;

/** Time of the processor, which other programs do not take. */
function processorMs(work: () => unknown): number {
  const started = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(started);
  return (user + system) / 1000;
}

/** Holds the work's time to linear growth on chains of every kind. The best of several attempts counts, so that load does not decide. */
export function expectLinear(name: string, work: (text: string) => unknown, pieces: readonly string[] = chains): void {
  for (const piece of pieces) {
    let before = Infinity;
    for (const size of SIZES) {
      const text = chainOf(piece, size);
      const limit = MOST_GROWTH * Math.max(LEAST_MS, before);
      let best = Infinity;
      for (let attempt = 0; attempt < ATTEMPTS && (attempt === 0 || best > limit); attempt += 1) {
        best = Math.min(
          best,
          processorMs(() => work(text)),
        );
      }
      if (best > limit)
        expect(`${name} of ${size} characters of ${JSON.stringify(piece)}: ${best} ms`).toBe(`at most ${limit} ms`);
      before = best;
    }
  }
}
