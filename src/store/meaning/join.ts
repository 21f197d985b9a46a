import type { Ranked } from "../search/ranked.ts";
import type { Meant } from "./nearest.ts";

/** Messages found by words that are joined with those found by meaning; those behind follow in the order of words. */
export const JOINED_WORDS = 100;
/** Messages found by meaning: what comes after is hardly meant. */
export const JOINED_MEANT = 50;

/**
 * Added to the ranks: the larger, the less the first few stand out. What words find first is mostly what was meant; which of
 * the first few by meaning it is, says less.
 */
const WORDS_OFFSET = 1;
const MEANT_OFFSET = 3;
/**
 * A rank by meaning counts as much as one by words where the best hits hold this share of the query's words, by their rarity:
 * less where they hold more, and more where they hold less, by the square of the ratio, within limits. test/bench tells what
 * other values gave.
 */
const EVEN_SHARE = 0.4;
const LEAST_WEIGHT = 0.75;
const MOST_WEIGHT = 8;
/** Best hits by words whose share is looked at: the largest counts. */
const LOOKED_AT = 3;

/** An order of messages that can be read from any place. */
export interface Order {
  /** The hits from an offset on, at least `limit` of them if there are as many. */
  page(page: { offset: number; limit: number }): Promise<Ranked[]>;
}

/** The order of words alone. */
export type WordOrder = Order["page"];

/**
 * Joins the messages that words and meaning have found; `added` are those that only meaning found. Ranks are joined rather
 * than scores: words always find something, and their scores say little of how well.
 */
export async function joined(words: WordOrder, meant: Meant[], known: number): Promise<Order & { added: number }> {
  const first = (await words({ offset: 0, limit: JOINED_WORDS })).slice(0, JOINED_WORDS);
  const head = fused(first, meant, known);
  const inHead = new Set(head.map(({ id }) => id));
  const page: Order["page"] = async ({ offset, limit }) => {
    const shown = head.slice(offset, offset + limit);
    if (first.length < JOINED_WORDS || shown.length === limit) return shown;
    const skipped = Math.max(0, offset - head.length);
    // Some that meaning found come again behind the first by words.
    const needed = skipped + limit - shown.length + meant.length;
    const rest = (await words({ offset: JOINED_WORDS, limit: needed })).map((each, index) => ({
      ...each,
      score: 1 / (WORDS_OFFSET + 1 + JOINED_WORDS + index),
      found_by: "words" as const,
    }));
    return [...shown, ...rest.filter(({ id }) => !inHead.has(id)).slice(skipped)];
  };
  return { page, added: head.length - first.length };
}

/** The order of meaning alone. */
export function meantOrder(meant: Meant[]): Order {
  const ranked = meant.map((each) => ({
    id: each.id,
    score: each.likeness,
    found_by: "meaning" as const,
    meant: each,
    repeated: each.repeated,
  }));
  return { page: async ({ offset, limit }) => ranked.slice(offset, offset + limit) };
}

/** `known` is the share of the query's words, by their rarity, that any message holds. */
export function fused(words: Ranked[], meant: Meant[], known: number): Ranked[] {
  const weight = weightOf(words, known);
  const all = new Map<string, Ranked>();
  for (const [index, each] of words.entries())
    all.set(each.id, { ...each, score: 1 / (WORDS_OFFSET + 1 + index), found_by: "words" });
  const copies = new Map(
    words.flatMap(({ id, repeated }) => (repeated?.also ?? []).map((copy) => [copy.message_id, id])),
  );
  for (const [index, each] of meant.entries()) {
    const score = weight / (MEANT_OFFSET + 1 + index);
    const same = all.get(copies.get(each.id) ?? each.id);
    if (same?.found_by === "both") continue;
    if (same) all.set(same.id, { ...same, score: same.score + score, found_by: "both" });
    else all.set(each.id, { id: each.id, score, found_by: "meaning", meant: each, repeated: each.repeated });
  }
  // The map holds those of words first, in their order, and sorting keeps it among equals.
  return [...all.values()].toSorted((a, b) => b.score - a.score);
}

function weightOf(words: Ranked[], known: number): number {
  const held = Math.max(0, ...words.slice(0, LOOKED_AT).map((each) => (each.held ?? 1) * known));
  return Math.min(MOST_WEIGHT, Math.max(LEAST_WEIGHT, (EVEN_SHARE / held) ** 2));
}
