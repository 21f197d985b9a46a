import type { SQL } from "bun";
import { FULL_REPLY_BYTES, REPLY_BUDGET_BYTES, largestWhole } from "../reply.ts";
import { copiesBytes, fixedBytes, leastBytes, sizesOf } from "./hit-sizes.ts";
import { readMatches } from "./matches.ts";
import type { Match, MatchOptions } from "./matches.ts";
import { readNear } from "./near-turns.ts";
import type { Ranked } from "./ranked.ts";
import { MAX_COPIES_NAMED } from "./repetitions.ts";
import type { Repetition } from "./repetitions.ts";
import { readSearchHits } from "./search-hit.ts";
import type { SearchHit } from "./search-hit.ts";

/** How often further hits are read in place of those that quote the same as an earlier one. */
const MAX_REFILLS = 3;

/** What a page shows. */
interface HitOptions extends MatchOptions {
  /** Hits wanted. */
  limit: number;
}

/** The hits of a page, and how many of the ranked messages they stand for. */
interface Page {
  hits: SearchHit[];
  read: number;
}

/**
 * Reads the ranked messages in order, as many as fit the reply. Those that quote the same are one hit. Each has its snippet
 * and at least the beginning of its content; the remaining budget is shared evenly.
 */
export async function readHits(sql: SQL, ranked: Ranked[], options: HitOptions): Promise<Page> {
  const budget = options.full ? FULL_REPLY_BYTES : REPLY_BUDGET_BYTES;
  const { fitting, read } = await readFitting(sql, ranked, options, budget);
  const overhead = fitting.reduce((sum, match) => sum + fixedBytes(match), 0);
  const most = largestWhole(fitting.flatMap(sizesOf), budget - overhead);
  const around = fitting.flatMap((match) => match.near);
  const near = await readNear(sql, around, most);
  const hits = await readSearchHits(sql, fitting, near, options.context > 0, most);
  return { hits, read };
}

/**
 * Reads matches until a page is full of different ones, or their least shown parts use up the budget; at least one, so that
 * each page makes progress. What is behind a full page is joined with nothing on it: the next page shows it.
 */
async function readFitting(
  sql: SQL,
  ranked: Ranked[],
  options: HitOptions,
  budget: number,
): Promise<{ fitting: Match[]; read: number }> {
  const fitting: Match[] = [];
  let [read, bytes] = [0, 0];
  for (let refills = 0; refills <= MAX_REFILLS && fitting.length < options.limit; refills += 1) {
    const next = ranked.slice(read, read + options.limit - fitting.length);
    if (next.length === 0) break;
    for (const match of await readMatches(sql, next, read, options)) {
      const same = fitting.find((other) => quotesSame(other, match));
      const repeated = same && together(same, match);
      bytes += same ? copiesBytes(repeated) - copiesBytes(same.repeated) : leastBytes(match);
      if (bytes > budget && fitting.length > 0) return { fitting, read: match.place };
      if (same) same.repeated = repeated;
      else fitting.push(match);
    }
    read += next.length;
  }
  return { fitting, read };
}

/** Whether two messages show the same matching lines of different texts. The same text is told by the ranking. */
function quotesSame(one: Match, other: Match): boolean {
  const isSameText = one.whole && other.whole && one.text === other.text;
  return (
    !isSameText && one.marks.length > 0 && one.row.role === other.row.role && one.snippet.text === other.snippet.text
  );
}

/** What is said of a match when another one, which quotes the same, is joined with it. */
function together(match: Match, { row: { id, conversation_id, turn }, repeated }: Match): Repetition {
  const { times, also } = match.repeated ?? { times: 1, also: [] };
  const copies = [{ message_id: id, conversation_id, turn }, ...(repeated?.also ?? [])];
  return { times: times + (repeated?.times ?? 1), also: [...also, ...copies].slice(0, MAX_COPIES_NAMED) };
}
