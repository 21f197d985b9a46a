import { allOf, anyOf, tsquery } from "./query.ts";

/** How many messages are ranked: each costs a look at its row. */
export interface Bounds {
  /** Those with the rarest of the words, or with the most of them together. */
  candidates: number;
  /** Beside those, the newest with any of the words. */
  newest: number;
  /** Of each of the two at most, when there are more than the statistics say. */
  gathered: number;
}

/** What more would find, and what it would cost, was measured: see test/bench. */
export const BOUNDS: Bounds = { candidates: 2000, newest: 200, gathered: 3000 };
/** Ranks every match; for measuring what the bounds cost. */
export const UNBOUNDED: Bounds = { candidates: Infinity, newest: Infinity, gathered: 1e9 };

/** So many of the rarest words choose: there are two to the power of that combinations of them. */
const MAX_CHOOSING = 5;

/** A word of a query, and how many messages hold it. */
export interface CountedWord {
  lexeme: string;
  count: number;
}

/** Some of the matches. */
export interface Part {
  /** A tsquery. */
  match: string;
  /** The part of all messages, the newest, that is to be looked at; 1 is all. */
  share: number;
}

/**
 * Chooses which messages are ranked of those that hold any of the words; the rarest word comes first. A message is worth
 * about the sum of its words' weights, and that sum falls as the number of messages with just these words rises. So
 * the combinations of words are taken in that order until there are candidates enough, and of the first alone the newest
 * when that is too many already. The newest with any of the words come beside them, as hits if words never come together.
 *
 * `passing` is the part of all messages that the filter lets pass.
 */
export function chooseParts(words: CountedWord[], rows: number, passing: number, bounds: Bounds): Part[] {
  const combinations = combinationsOf(words.slice(0, MAX_CHOOSING), rows);
  const taken: Combination[] = [];
  let expected = 0;
  for (const combination of combinations) {
    if (taken.length > 0 && expected + combination.alone * passing > bounds.candidates) break;
    expected += combination.alone * passing;
    taken.push(combination);
  }
  // What holds another combination is found with that one.
  const least = taken.filter(({ mask }) =>
    taken.every((other) => other.mask === mask || (other.mask & mask) < other.mask),
  );
  const match = least.map(({ lexemes }) => `(${allOf(lexemes)})`).join(" | ");
  const chosen = { match, share: Math.min(1, bounds.candidates / expected) };
  if (taken.length === combinations.length && words.length <= MAX_CHOOSING) return [chosen];
  const matching =
    Math.min(
      rows,
      words.reduce((sum, { count }) => sum + count, 0),
    ) * passing;
  const others = `(${anyOf(words.map(({ lexeme }) => lexeme))}) & !(${match})`;
  return [chosen, { match: others, share: Math.min(1, bounds.newest / matching) }];
}

/** Columns of `messages m` for the rows of the parts that pass, each from its time on, in ms since 1970. */
export function partsStatement(
  columns: string,
  parts: Part[],
  since: number[],
  condition: string,
  gathered: number,
): string {
  return parts
    .map(({ match }, index) => {
      const from = since[index] ?? 0;
      const newer = from === 0 ? "" : ` and m.created_at >= to_timestamp(${from / 1000})`;
      return `(select ${columns} from messages m
        where m.search @@ ${tsquery(match)} and ${condition}${newer} limit ${gathered})`;
    })
    .join(" union all ");
}

/** Some of the words, as bits. */
interface Combination {
  mask: number;
  lexemes: string[];
  /** The part of messages that hold all of them … */
  together: number;
  /** … and how many hold them and none of the others, if words come independently of each other. */
  alone: number;
}

/** All combinations; first those whose words come together the most rarely. */
function combinationsOf(words: CountedWord[], rows: number): Combination[] {
  const shares = words.map(({ count }) => Math.min(1, count / Math.max(1, rows)));
  return Array.from({ length: 2 ** words.length - 1 }, (_, index) => index + 1)
    .map((mask) => {
      const holds = words.map((_, index) => (mask & (1 << index)) !== 0);
      return {
        mask,
        lexemes: words.filter((_, index) => holds[index]).map(({ lexeme }) => lexeme),
        together: shares.reduce((product, share, index) => (holds[index] ? product * share : product), 1),
        alone: shares.reduce((product, share, index) => product * (holds[index] ? share : 1 - share), rows),
      };
    })
    .toSorted((a, b) => a.together - b.together);
}
