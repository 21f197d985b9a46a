import type { Place } from "./vector.ts";

/** Words of a passage: what can be read at a glance, and what the literature ranks long texts by. */
export const PASSAGE_WORDS = 120;

/**
 * Returns how often each of the query's words occurs in the best passage of a text. `places` are in the order of the text;
 * a passage is worth the sum of `worth` over the words. One begins with each place: any other lies within one of these.
 * Takes linear time.
 */
export function bestPassage(
  places: readonly Place[],
  words: number,
  worth: (word: number, count: number) => number,
): number[] {
  const counts = Array.from({ length: words }, () => 0);
  let [best, most, sum, next] = [[...counts], 0, 0, 0];
  const add = (word: number, change: 1 | -1) => {
    const count = counts[word] ?? 0;
    sum += worth(word, count + change) - worth(word, count);
    counts[word] = count + change;
  };
  for (const first of places) {
    for (let place = places[next]; place && place.position < first.position + PASSAGE_WORDS; place = places[next]) {
      add(place.word, 1);
      next += 1;
    }
    // The sum is a little off after many changes, which must not make a later passage the better of two equal ones.
    if (sum > most + MARGIN) [most, best] = [sum, [...counts]];
    add(first.word, -1);
  }
  return best;
}

const MARGIN = 1e-9;
