import type { SQL } from "bun";
import { weigh } from "./basis.ts";
import type { Basis } from "./basis.ts";
import { candidates } from "./candidates.ts";
import type { Filter } from "./filter.ts";
import { firstPass } from "./first-pass.ts";
import type { FoundTurn } from "./first-pass.ts";
import { bestSections } from "./holding.ts";
import { neighboursOf, withWindows } from "./neighbours.ts";
import { BOUNDS } from "./parts.ts";
import type { Bounds } from "./parts.ts";
import type { Ranked } from "./ranked.ts";
import { byConversation, scoreTurns } from "./relevance.ts";
import type { QueryWords, ScoredTurn, Turn } from "./relevance.ts";
import { repetitionsIn } from "./repetitions.ts";

/**
 * Size of a block of the best by their own words, reranked with their neighbours: of all messages, and within a session or a
 * conversation. Larger blocks measurably change nothing.
 */
const RERANKED = { everywhere: 50, scoped: 100 };
/** Messages that are ranked whatever the statistics say, if as many match: a page of hits. */
const LEAST_RANKED = 100;

/**
 * Ranks the matching messages and returns those from an offset on, best first: at least `limit`, if there are as many.
 * Messages with the same text are one hit. The first pass orders candidates by their own words. The second judges long ones
 * by their best passage, and adds the window of neighbours, the label, the question before, and the conversation. It goes
 * down the first order block by block; each block holds its candidates and the matches near them that no earlier block
 * holds. The result at a position therefore does not depend on how far a caller reads.
 */
export async function rank(
  sql: SQL,
  basis: Basis,
  filter: Filter,
  page: { offset: number; limit: number },
  bounds = BOUNDS,
): Promise<Ranked[]> {
  if (basis.words.length === 0) return [];
  const words = weigh(basis);
  const hits = await hitsOf(sql, words, { basis, filter, bounds }, page);
  const blocks = [...Map.groupBy(hits, (hit) => hit.block)].toSorted(([a], [b]) => a - b).map(([, block]) => block);
  const neighbours = await neighboursOf(sql, hits, words, filter);
  const vectors = new Map(hits.flatMap(({ id, places }) => (places ? [[id, places] as const] : [])));
  const repetitions = repetitionsIn(hits);
  const start = page.offset - Math.min(...hits.map((hit) => hit.passed));
  const turns = byConversation<Turn>([...neighbours, ...hits]);
  return blocks
    .flatMap((block) => best(scoreTurns(withWindows(block, turns), words, vectors)))
    .slice(start)
    .map(({ turn, score }) => ({ id: turn.id, score, held: heldBy(turn, words), repeated: repetitions.get(turn.id) }));
}

/**
 * The hits of the blocks that a page lies in. Contrary to the statistics, hardly any match may be as new as they say; then the last
 * part of the candidates is taken from all times, on every page.
 */
async function hitsOf(
  sql: SQL,
  words: QueryWords,
  { basis, filter, bounds }: { basis: Basis; filter: Filter; bounds: Bounds },
  page: { offset: number; limit: number },
): Promise<FoundTurn[]> {
  const blockSize = basis.scoped ? RERANKED.scoped : RERANKED.everywhere;
  const passOver = (since: number[]) => {
    const chosen = (columns: string) => candidates(columns, { ...basis, since }, filter, bounds);
    const sections = filter.sections && bestSections(words, filter.sections);
    return firstPass(sql, words, { chosen, sections }, page, { blockSize, values: filter.values });
  };
  const { hits, ranked } = await passOver(basis.since);
  const hasLimit = (basis.since.at(-1) ?? 0) > 0;
  if (!hasLimit || ranked >= LEAST_RANKED) return hits;
  return (await passOver([...basis.since.slice(0, -1), 0])).hits;
}

/** Share of the words, each weighed by its rarity, that a turn holds. */
function heldBy({ frequencies }: Turn, { weights }: QueryWords): number {
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  const held = weights.reduce((sum, weight, index) => sum + ((frequencies[index] ?? 0) > 0 ? weight : 0), 0);
  return all === 0 ? 0 : held / all;
}

/** The best first, and among equals the newest. */
function best(scored: ScoredTurn[]): ScoredTurn[] {
  return scored.toSorted((a, b) => b.score - a.score || b.turn.time - a.turn.time || (a.turn.id < b.turn.id ? 1 : -1));
}
