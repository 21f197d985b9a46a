import type { Scope } from "./filter.ts";
import { allOf, anyOf, tsquery } from "./query.ts";

/** Limits on the messages that are ranked; each costs reading its row. */
export interface Bounds {
  /** Messages with the rarest words, or with the most words together. */
  candidates: number;
  /** The newest messages with any of the words, in addition. */
  newest: number;
  /** Long ones of them, where many are long: these hold the rarest combinations of words, and are the shortest among those. */
  long: number;
  /** Limit on each of the two when more match than the statistics predict. */
  gathered: number;
}

/** Measured: test/bench shows what larger bounds would find and cost. */
export const BOUNDS: Bounds = { candidates: 2000, newest: 200, long: 500, gathered: 3000 };
/** Ranks every match, to measure what the bounds cost. */
export const UNBOUNDED: Bounds = { candidates: Infinity, newest: Infinity, long: Infinity, gathered: 1e9 };

/**
 * Of long texts, those behind so many with the rarest combinations come last: each holds many words, so which ones tells more
 * than its length.
 */
const EARLY_CANDIDATES = 700;

/** There may be so many times more messages than the statistics say, which are renewed when most messages are newer. */
const STALE_TIMES = 2;

/** Rarest words that are combined; there are two to this power combinations. */
const MAX_CHOOSING = 5;

/**
 * Messages in the conversations of a scope, for each that matches anywhere, up to which the newest matches are found by those
 * conversations. Beyond that the words find them, and each is checked for its conversation. Measured at a million messages: of
 * a quarter of all, 22 ms of processor time against 60; of a tenth, 25 against 120.
 */
const IN_SCOPE_PER_MATCH = 10;

/** A word of a query and the number of messages that hold it. */
export interface CountedWord {
  lexeme: string;
  count: number;
}

/** A subset of the matches. */
export interface Part {
  /** A tsquery. */
  match: string;
  /** Share of all messages to search, newest first; 1 searches all. */
  share: number;
  /** The number of messages that are wanted: the newest, when no time limits them. */
  most: number;
  /** The number of messages that match, whether they pass the filter or not. */
  matching: number;
  /** Whether all are wanted, up to `most`. */
  isWhole?: boolean;
  /** Whether it is worth less than the part before it, whatever the lengths. */
  isLate?: boolean;
}

/**
 * Chooses the candidates among the messages that hold any of the words; `words` is sorted by rarity, rarest first. A
 * message scores about the sum of its words' weights, and that sum falls as the number of messages with exactly these words
 * rises. Combinations of words are therefore taken in that order until they yield enough candidates; if the first one
 * yields too many, only its newest messages are taken. The newest messages with any of the words are added, so that there
 * are hits even if the words never occur together; all of them, if they are few.
 *
 * `passing` is the share of all messages that pass the filter. `isLong` says whether many texts are long.
 */
export function chooseParts(
  words: CountedWord[],
  rows: number,
  passing: number,
  bounds: Bounds,
  isLong = false,
): Part[] {
  const combinations = combinationsOf(words.slice(0, MAX_CHOOSING), rows);
  const taken: Combination[] = [];
  let expected = 0;
  for (const combination of combinations) {
    if (taken.length > 0 && expected + combination.alone * passing > bounds.candidates) break;
    expected += combination.alone * passing;
    taken.push(combination);
  }
  const early = isLong ? expectedUpTo(taken, passing, EARLY_CANDIDATES) : taken.length;
  const [head, tail] = [taken.slice(0, early), taken.slice(early)];
  const match = anyCombination(taken);
  const share = Math.min(1, bounds.candidates / expected);
  const most = bounds.candidates;
  const chosen =
    tail.length === 0
      ? [{ match, share, most, matching: matchingOf(taken) }]
      : [
          { match: anyCombination(head), share, most, matching: matchingOf(head) },
          {
            match: `(${anyCombination(tail)}) & !(${anyCombination(head)})`,
            share,
            most,
            matching: matchingOf(tail),
            isLate: true,
          },
        ];
  if (taken.length === combinations.length && words.length <= MAX_CHOOSING) return chosen;
  const matching =
    rows * (1 - words.reduce((none, { count }) => none * (1 - Math.min(1, count / Math.max(1, rows))), 1));
  const others = `(${anyOf(words.map(({ lexeme }) => lexeme))}) & !(${match})`;
  // So few are all ranked: what is near those with a common word of a long question may make them the best.
  if (!isLong && matching * passing <= bounds.gathered)
    return [...chosen, { match: others, share: 1, most: bounds.gathered * STALE_TIMES, matching, isWhole: true }];
  const newest = Math.min(1, bounds.newest / (matching * passing));
  return [...chosen, { match: others, share: newest, most: bounds.newest, matching }];
}

/** How many of the combinations, which come in the order of their worth, yield so many messages: one at least. */
function expectedUpTo(combinations: Combination[], passing: number, most: number): number {
  let expected = 0;
  const next = combinations.findIndex(({ alone }, index) => {
    expected += alone * passing;
    return index > 0 && expected > most;
  });
  return next === -1 ? combinations.length : next;
}

/** How many messages hold any of the combinations. */
function matchingOf(combinations: Combination[]): number {
  return combinations.reduce((sum, { alone }) => sum + alone, 0);
}

/** A tsquery for the messages that hold any of the combinations. */
function anyCombination(combinations: Combination[]): string {
  // A combination that includes another one is covered by it.
  const least = combinations.filter(({ mask }) =>
    combinations.every((other) => other.mask === mask || (other.mask & mask) < other.mask),
  );
  return least.map(({ lexemes }) => `(${allOf(lexemes)})`).join(" | ");
}

/** Where messages have more different words on average, many vectors lie apart from their rows. */
const MANY_WORDS = 100;
/** Of so many matches with long texts, the newest are found by sorting all. */
const MAX_SORTED = 20_000;

/** Whether so many texts are long that reading their vectors takes most of a search's time. */
export function areLong({ averageLength }: { averageLength: number }): boolean {
  return averageLength > MANY_WORDS;
}

/**
 * Selects columns of `messages m` for each part's rows that pass the filter, from its time in `since` (ms since 1970) on. A
 * part without a time that should not be read whole is read in the order of time. Among long texts that takes reading the
 * vectors of those that do not match, so there the matches come from the index and are sorted.
 */
export function partsStatement(
  columns: (part: Part) => string,
  parts: Part[],
  since: number[],
  { sieve, scope }: { sieve: string; scope: Scope | undefined },
  { gathered, isLong }: { gathered: number; isLong: boolean },
): string {
  return parts
    .map((part, index) => {
      const { match, share, most, matching, isWhole = false } = part;
      const from = since[index] ?? 0;
      const query = tsquery(match);
      const wanted = columns(part);
      const found = `from messages m where m.search @@ ${query} and ${sieve}`;
      if (from === 0 && share < 1) {
        // An expression, which the index by time does not have.
        const time = isLong && most <= share * MAX_SORTED ? "m.created_at + interval '0'" : "m.created_at";
        return `(select ${wanted} from (select m.ctid, m.* ${found} order by ${time} desc limit ${most}) as m)`;
      }
      if (from === 0) return `(select ${wanted} ${found} limit ${isWhole ? most : gathered})`;
      const newer = `m.created_at >= to_timestamp(${from / 1000})`;
      if (scope === undefined || isLong || scope.messages > IN_SCOPE_PER_MATCH * matching)
        return `(select ${wanted} ${found} and ${newer} limit ${gathered})`;
      // A conversation's `updated_at` is the time of its last message. `is true` keeps the index over words out of it.
      return `(select ${wanted} from messages m where (m.search @@ ${query}) is true and ${sieve} and ${newer}
        and m.conversation_id = any (array(${scope.conversations} and updated_at >= to_timestamp(${from / 1000})))
        limit ${gathered})`;
    })
    .join(" union all ");
}

/** A subset of the words, as bits. */
interface Combination {
  mask: number;
  lexemes: string[];
  /** Share of messages that hold all of them, assuming that words occur independently. */
  together: number;
  /** Number of messages that hold all of them and none of the others, on the same assumption. */
  alone: number;
}

/** All combinations, those whose words occur together most rarely first. */
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
