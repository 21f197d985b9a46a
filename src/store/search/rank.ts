import type { SQL } from "bun";
import { weigh } from "./basis.ts";
import type { Basis } from "./basis.ts";
import { candidates } from "./candidates.ts";
import type { Filter } from "./filter.ts";
import { firstPass } from "./first-pass.ts";
import { neighboursOf, withWindows } from "./neighbours.ts";
import { BOUNDS } from "./parts.ts";
import type { Ranked } from "./ranked.ts";
import { byConversation, isLong, ownScore, scoreTurns } from "./relevance.ts";
import type { QueryWords, ScoredTurn, Turn } from "./relevance.ts";
import { repetitionsIn } from "./repetitions.ts";

/**
 * Size of a block of the best by their own words, reranked with their neighbours: of all messages, and within a session or a
 * conversation. Larger blocks measurably change nothing.
 */
const RERANKED = { everywhere: 50, scoped: 100 };
/** Long turns of a block that are judged by their best passage; the vector of a text of 20 kB takes about 10 kB. */
const MAX_PASSAGES = 50;

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
  const chosen = (columns: string) => candidates(columns, basis, filter, bounds);
  const blockSize = basis.scoped ? RERANKED.scoped : RERANKED.everywhere;
  const hits = await firstPass(sql, words, chosen, page, { blockSize, values: filter.values });
  const blocks = [...Map.groupBy(hits, (hit) => hit.block)].toSorted(([a], [b]) => a - b).map(([, block]) => block);
  const neighbours = await neighboursOf(sql, hits, words, filter);
  const vectors = await vectorsOf(
    sql,
    blocks.flatMap((block) => bestLong(block, words)),
  );
  const repetitions = repetitionsIn(hits);
  const start = page.offset - Math.min(...hits.map((hit) => hit.passed));
  const turns = byConversation<Turn>([...neighbours, ...hits]);
  return blocks
    .flatMap((block) => best(scoreTurns(withWindows(block, turns), words, vectors)))
    .slice(start)
    .map(({ turn, score }) => ({ id: turn.id, score, held: heldBy(turn, words), repeated: repetitions.get(turn.id) }));
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

/** The long hits of a block that are the best by the words of their whole texts. */
function bestLong(block: Turn[], words: QueryWords): string[] {
  const whole = block.filter(isLong);
  const order = new Map(whole.map((turn) => [turn.id, ownScore(turn, words)]));
  return [...order]
    .toSorted(([a, x], [b, y]) => y - x || (a < b ? 1 : -1))
    .slice(0, MAX_PASSAGES)
    .map(([id]) => id);
}

/** Reads which words messages hold, and where: their best passages are found by these. */
async function vectorsOf(sql: SQL, ids: string[]): Promise<Map<string, Uint8Array>> {
  if (ids.length === 0) return new Map();
  const rows: { id: string; vector: Uint8Array }[] = await sql`
    select id, tsvectorsend(search) as vector from messages where id = any(${sql.array(ids, "UUID")})`;
  return new Map(rows.map(({ id, vector }) => [id, vector]));
}
