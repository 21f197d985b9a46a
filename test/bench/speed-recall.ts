import type { SQL } from "bun";
import { basisOf } from "../../src/store/search/basis.ts";
import { filterOf } from "../../src/store/search/filter.ts";
import { UNBOUNDED } from "../../src/store/search/parts.ts";
import { readOpening } from "../../src/store/search/opening.ts";
import { parseQuery } from "../../src/store/search/query.ts";
import { rank } from "../../src/store/search/rank.ts";
import type { Ranked } from "../../src/store/search/ranked.ts";
import { StatisticsCache } from "../../src/store/search/statistics.ts";
import type { Rpc } from "../support/rpc.ts";
import { KINDS } from "./speed-queries.ts";
import type { Kind, Query } from "./speed-queries.ts";

/** Ranking every match of a common word takes seconds. */
const QUERIES_OF_EACH_KIND = 5;

/** How many of the best hits are found although not every match is ranked. */
export interface Kept {
  /** Share of the best that is among the hits. */
  hits: number;
  /** Sum of the hits' scores, relative to that of the best. */
  score: number;
}

/** Compares the hits of `dewey_search` with the best of all matches, by the same ranking. */
export async function keptByBounds(dewey: Rpc, sql: SQL, queries: Query[], limit: number): Promise<Record<Kind, Kept>> {
  const kept: [Kind, Kept][] = [];
  for (const kind of KINDS) {
    const each: Kept[] = [];
    for (const query of queries.filter((query) => query.kind === kind).slice(0, QUERIES_OF_EACH_KIND)) {
      const reply = await dewey.tool("dewey_search", { query: query.text, ...query.filters, limit });
      each.push(compare(reply["results"] as Hit[], await bestOfAll(sql, query, limit)));
    }
    kept.push([kind, average(each)]);
  }
  return Object.fromEntries(kept) as Record<Kind, Kept>;
}

async function bestOfAll(sql: SQL, { text, filters }: Query, limit: number): Promise<Ranked[]> {
  const { start_date, end_date, ...others } = filters;
  const narrowing = {
    ...others,
    ...(start_date === undefined ? {} : { start_date: new Date(start_date) }),
    ...(end_date === undefined ? {} : { end_date: new Date(end_date) }),
  };
  const opening = await readOpening(sql);
  const query = { ...(await parseQuery(sql, text, opening)), isSectioned: opening.isSectioned };
  const filter = await filterOf(sql, narrowing, query, undefined);
  const basis = await basisOf(sql, query.words, filter, await new StatisticsCache().get(sql), UNBOUNDED);
  const ranked = await rank(sql, basis, filter, { offset: 0, limit }, UNBOUNDED);
  return ranked.slice(0, limit);
}

interface Hit {
  message_id: string;
  rank: number;
}

function compare(hits: Hit[], best: Ranked[]): Kept {
  const found = new Set(hits.map((hit) => hit.message_id));
  const sum = (scores: number[]) => scores.reduce((total, score) => total + score, 0);
  return {
    hits: best.filter(({ id }) => found.has(id)).length / best.length,
    score: sum(hits.map((hit) => hit.rank)) / sum(best.map(({ score }) => score)),
  };
}

function average(all: Kept[]): Kept {
  const mean = (key: keyof Kept) => all.reduce((sum, each) => sum + each[key], 0) / all.length;
  return { hits: mean("hits"), score: mean("score") };
}
