import type { SQL } from "bun";
import { DeweyError } from "../errors.ts";
import type { Database } from "./database.ts";
import { decodeCursor, encodeCursor } from "./search-cursor.ts";
import type { Place } from "./search-cursor.ts";
import { currentSnapshot, filterOf } from "./search-filter.ts";
import type { Narrowing } from "./search-filter.ts";
import { readHits } from "./search-hits.ts";
import type { SearchHit } from "./search-hits.ts";
import { countLiterally, findLiterally, literalMarks } from "./search-literal.ts";
import { findMarks } from "./search-marks.ts";
import type { Sought } from "./search-marks.ts";
import { parseQuery } from "./search-query.ts";
import type { SearchQuery } from "./search-query.ts";
import { basisOf, rank } from "./search-rank.ts";
import type { Basis, Filter } from "./search-rank.ts";
import { StatisticsCache } from "./search-statistics.ts";
import type { Statistics } from "./search-statistics.ts";
import { countMatches } from "./search-total.ts";

/** Words of a query that are looked for: each costs a ranking of every candidate. */
const MAX_WORDS = 32;

export interface SearchRequest extends Narrowing {
  query: string;
  /** Hits at most. The reply holds fewer where it has no room for them, and goes on with its cursor. */
  limit: number;
  offset: number;
  /** `next_cursor` of the page before. */
  cursor?: string | undefined;
  /** Turns on each side of a hit. */
  context?: number | undefined;
  /** Lifts the reply's budget. */
  full?: boolean | undefined;
}

export interface SearchReply {
  results: SearchHit[];
  total: number;
  limit: number;
  offset: number;
  total_is_lower_bound?: true;
  /** Where to read on; absent when there is no more. */
  next_cursor?: string;
}

/** Finds messages: any word of the query may match, rare ones weigh more, and neighbours lend weight. */
export class Search {
  readonly #database: Database;
  readonly #statistics = new StatisticsCache();

  constructor(database: Database) {
    this.#database = database;
  }

  /** Throws `invalid` for a cursor that does not belong to the request. */
  async find(request: SearchRequest): Promise<SearchReply> {
    const { query: text, limit, offset, cursor, context = 0, full = false, ...narrowing } = request;
    const asked = [text, narrowing];
    const going = cursor === undefined ? undefined : decodeCursor(cursor, asked);
    if (going && offset > 0) throw bothGiven();
    // One view for all of its statements: what is stored meanwhile must not make the total and the hits disagree.
    const search = async (sql: SQL): Promise<SearchReply> => {
      const query = await parseQuery(sql, text);
      const filter = await filterOf(sql, narrowing, query, going?.snapshot);
      const place = going ?? (await this.#begin(sql, query, filter, offset));
      const page = { offset: place.offset, limit: limit + 1 };
      const ranked = await (isLiteral(query)
        ? findLiterally(sql, query.literal, filter, page)
        : rank(sql, place.basis, filter, page));
      const mark = (texts: string[]) =>
        isLiteral(query) ? literalMarks(texts, query.literal) : findMarks(sql, texts, soughtIn(place.basis));
      const results = await readHits(sql, ranked.slice(0, limit), { mark, context, full });
      const next = { ...place, offset: place.offset + results.length };
      return {
        results,
        total: place.total,
        limit,
        offset: place.offset,
        ...(place.isLowerBound ? { total_is_lower_bound: true } : {}),
        ...(ranked.length > results.length ? { next_cursor: encodeCursor(next, asked) } : {}),
      };
    };
    return this.#database.search((sql) => sql.begin("isolation level repeatable read read only", search));
  }

  /** What the first page finds, and the later ones keep. */
  async #begin(sql: SQL, query: SearchQuery, filter: Filter, offset: number): Promise<Place> {
    const statistics = await this.#statistics.get(sql);
    const words = rarest(query.words, statistics);
    const basis = await basisOf(sql, words, filter, statistics);
    const total = await (isLiteral(query)
      ? countLiterally(sql, query.literal, filter)
      : countMatches(sql, basis, filter));
    return { snapshot: await currentSnapshot(sql), basis, ...total, offset };
  }
}

/** Whether nothing in it is a word: only stop words, say, or signs. */
function isLiteral(query: SearchQuery): boolean {
  return query.words.length === 0 && query.required.length === 0;
}

/** Of a long query the words that say most; of those that are equally rare, the first. */
function rarest(words: string[], statistics: Statistics): string[] {
  const frequency = (word: string) => statistics.frequencies.get(word) ?? 0;
  return words.toSorted((a, b) => frequency(a) - frequency(b)).slice(0, MAX_WORDS);
}

/** What a word is worth where it stands: the rarer, the more. */
function soughtIn({ words, rows }: Basis): Sought[] {
  return words.map(({ lexeme, count }) => ({ lexeme, weight: Math.log(1 + Math.max(rows, count) / count) }));
}

function bothGiven(): DeweyError {
  return new DeweyError("invalid", "offset should be left out with a cursor, which knows its place", {
    field: "offset",
  });
}
