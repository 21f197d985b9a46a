import type { SQL } from "bun";
import { Cache } from "../../cache.ts";
import { DeweyError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { encodeCursor, placeOf } from "../cursor.ts";
import type { Database } from "../database/database.ts";
import type { Reads } from "../database/reads.ts";
import { JOINED_MEANT, joined, meantOrder } from "../meaning/join.ts";
import type { Order, WordOrder } from "../meaning/join.ts";
import { cannotGoOn, visiblePassages } from "../meaning/meaning.ts";
import type { Asked, Lacking, Meaning } from "../meaning/meaning.ts";
import { nearest } from "../meaning/nearest.ts";
import { meantBy } from "../meaning/question.ts";
import { basisOf, weigh } from "./basis.ts";
import type { Basis } from "./basis.ts";
import { isUnspaced } from "./characters.ts";
import { correctionsOf } from "./corrections.ts";
import type { Correction } from "./corrections.ts";
import { placeSchema } from "./cursor.ts";
import type { SearchPlace } from "./cursor.ts";
import { boundAt } from "../../moment.ts";
import type { Bound } from "../../moment.ts";
import type { Unmatched } from "../narrowing.ts";
import { readSearchFacets } from "./facets.ts";
import type { SearchFacets } from "./facets.ts";
import { filterOf, meetsNone } from "./filter.ts";
import type { Filter, Narrowing, RequiredWords } from "./filter.ts";
import { readHits } from "./hits.ts";
import { bestPieces } from "./holding.ts";
import { countLiterally, findLiterally } from "./literal.ts";
import { literalMarker, wordMarker } from "./marker.ts";
import type { Marker } from "./marker.ts";
import type { KnownLexemes } from "./marks.ts";
import { countNewest, findNewest } from "./newest.ts";
import { readOpening } from "./opening.ts";
import type { SearchLanguages } from "./opening.ts";
import { parseQuery } from "./query.ts";
import type { SearchQuery } from "./query.ts";
import { rank } from "./rank.ts";
import type { MatchOptions } from "./matches.ts";
import type { FoundBy, Ranked } from "./ranked.ts";
import type { SearchHit } from "./search-hit.ts";
import { StatisticsCache } from "./statistics.ts";
import type { Statistics } from "./statistics.ts";
import { countMatches, totalLimit } from "./total.ts";
import type { Total } from "./total.ts";
import { Vocabulary } from "./vocabulary.ts";

/** Messages that are found by meaning alone. */
const MAX_MEANT = 200;
/** Limit on the words of a query that are searched; each is scored in every candidate. */
const MAX_WORDS = 32;
/** The same of pairs of characters, in scripts without spaces: each overlaps with the next, so half of them tell as much. */
const MAX_PAIRS = 12;
/** Queries whose words are remembered: people page through hits, and a page asks again for what they are counted by. */
const PARSED_QUERIES = 200;
/** A longer query is read anew each time, so that none of a client's takes the memory of many. */
const MAX_REMEMBERED_CHARACTERS = 1000;
/** Words of texts whose lexemes are remembered, in about 3 MB. */
const KNOWN_LEXEMES = 20_000;

export interface SearchRequest extends Omit<Narrowing, "start_date" | "end_date"> {
  /** When it is empty, the newest messages that pass the filters are found. */
  query: string;
  start_date?: Bound | undefined;
  /** Exclusive. */
  end_date?: Bound | undefined;
  /** Maximum number of hits. A full reply holds fewer and has a cursor for the rest. */
  limit: number;
  offset: number;
  /** `next_cursor` of the previous page. */
  cursor?: string | undefined;
  /** Turns on each side of a hit. */
  context?: number | undefined;
  /** Also counts the hits by client, folder and role; on the first page. */
  facets?: boolean | undefined;
  /** Lifts the reply's budget. */
  full?: boolean | undefined;
  /** What finds messages; both by default, where meaning is searched. */
  mode?: FoundBy | undefined;
}

export interface SearchReply {
  results: SearchHit[];
  total: number;
  limit: number;
  offset: number;
  total_is_lower_bound?: true;
  /** Words that no message holds, and the ones that were searched instead. */
  corrected?: Correction[];
  facets?: SearchFacets;
  /** Why only words were searched, where meaning should have been. */
  meaning?: Lacking;
  /** When there is nothing: the filters that no message meets. */
  unmatched?: Unmatched[];
  /** Cursor of the next page; absent on the last. */
  next_cursor?: string;
}

/** Finds messages: any word of the query may match, rare ones weigh more, and neighbours lend weight. */
export class Search {
  readonly vocabulary: Vocabulary;
  readonly #reads: Reads;
  readonly #statistics = new StatisticsCache();
  readonly #parsed = new Cache<SearchQuery>(PARSED_QUERIES);
  readonly #lexemes: KnownLexemes = new Cache(KNOWN_LEXEMES);

  readonly #storedKey: (key: string) => string;
  readonly #meaning: Meaning | undefined;

  /** `storedKey` is the form in which a `session_id` was stored. */
  constructor(database: Database, reads: Reads, log: Log, storedKey: (key: string) => string, meaning?: Meaning) {
    this.#reads = reads;
    this.#storedKey = storedKey;
    this.#meaning = meaning;
    this.vocabulary = new Vocabulary(database, log);
  }

  /** Throws `invalid` for a cursor of another request. Aborting the signal cancels the search in the database. */
  async find(request: SearchRequest, signal?: AbortSignal): Promise<SearchReply> {
    const { query: text, limit, offset, cursor, context = 0, full = false, mode, facets, ...given } = request;
    const { session_id, start_date, end_date } = given;
    const stored = session_id === undefined ? given : { ...given, session_id: this.#storedKey(session_id) };
    const asked = [text, stored, ...(mode === undefined ? [] : [mode])];
    const going = placeOf({ cursor, offset }, asked, placeSchema);
    const now = new Date(going?.now ?? Date.now());
    const narrowing = { ...stored, start_date: boundAt(start_date, now), end_date: boundAt(end_date, now) };
    const sought = await this.#soughtByMeaning(text, mode ?? "both", going);
    const search = async (sql: SQL, seen: string | undefined): Promise<SearchReply> => {
      const opening = await readOpening(sql);
      const { isSectioned } = opening;
      const query = { ...(await this.#parse(sql, text, opening)), isSectioned };
      const filter = await filterOf(sql, narrowing, query, going?.snapshot ?? seen);
      const begun = await this.#place(sql, query, filter, going, {
        offset,
        snapshot: seen ?? opening.snapshot,
        hasTrash: opening.hasTrash,
        now: now.getTime(),
        isCounted: facets === true,
      });
      const { order, meaning, total } = await ordered(sql, query, begun, { filter, narrowing, sought });
      const place = { ...begun, meaning };
      const page = { offset: place.offset, limit: limit + 1 };
      const ranked = await order.page(page);
      const marker = this.#marker(sql, query, place);
      const { hits: results, read } = await readHits(sql, ranked, {
        mark: marker.mark,
        pieces: piecesOf(sql, place, filter),
        limit,
        context,
        full,
      });
      const next = { ...place, offset: place.offset + read };
      // Hits that quote the same may have used up all that was ranked for this page.
      const isUsedUp = read === ranked.length && ranked.length > limit;
      const rest = isUsedUp ? await order.page({ offset: next.offset, limit: 1 }) : ranked.slice(read);
      return {
        results,
        total,
        limit,
        offset: place.offset,
        ...(place.isLowerBound ? { total_is_lower_bound: true } : {}),
        ...(typeof sought === "string" ? { meaning: sought } : {}),
        ...(await this.#corrected(sql, text, place, marker.shown)),
        ...(facets && going === undefined ? await facetsIn(sql, query, place, narrowing) : {}),
        ...(total === 0 ? await unmatchedIn(sql, narrowing) : {}),
        ...(rest.length > 0 ? { next_cursor: encodeCursor(next, asked) } : {}),
      };
    };
    return this.#reads.search(search, signal);
  }

  /**
   * What is looked for by meaning, or why it cannot be; undefined when it is not to be. Before the database is asked, so that
   * no connection waits for the endpoint. Throws `unavailable` when a page, or the request, cannot do without.
   */
  async #soughtByMeaning(
    text: string,
    mode: FoundBy,
    going: SearchPlace | undefined,
  ): Promise<Sought | Lacking | undefined> {
    if (mode === "words" || text.trim() === "" || (going && !going.meaning)) return undefined;
    if (!this.#meaning) {
      if (mode === "both") return undefined;
      const message = "mode should be words: no embeddings endpoint is configured (DEWEY_EMBEDDINGS_URL)";
      throw new DeweyError("invalid", message, { field: "mode" });
    }
    const question = meantBy(text) ?? (mode === "meaning" ? { text, isWord: false } : undefined);
    if (!question) return undefined;
    const asked = await this.#meaning.ask(question.text);
    if (typeof asked !== "string") return { ...asked, mode, isWord: mode === "both" && question.isWord };
    if (going) throw cannotGoOn();
    if (mode === "meaning")
      throw new DeweyError("unavailable", `${LACKING[asked]}; try again later, or use mode: words`);
    return asked;
  }

  async #parse(sql: SQL, text: string, { languages, earlierForm }: SearchLanguages): Promise<SearchQuery> {
    if (text.length > MAX_REMEMBERED_CHARACTERS) return parseQuery(sql, text, { languages, earlierForm });
    const key = JSON.stringify([languages, earlierForm, text]);
    const query = this.#parsed.get(key) ?? (await parseQuery(sql, text, { languages, earlierForm }));
    this.#parsed.set(key, query);
    return query;
  }

  /** Returns the cursor's place, or the beginning. If the search languages have changed since, its words are parsed again. */
  async #place(
    sql: SQL,
    query: SearchQuery,
    filter: Filter,
    going: SearchPlace | undefined,
    beginning: Beginning,
  ): Promise<SearchPlace> {
    if (going && Bun.deepEquals(going.languages, query.languages)) return going;
    return this.#begin(sql, query, filter, { ...beginning, ...going });
  }

  /** Determines what the first page finds and later pages keep. */
  async #begin(
    sql: SQL,
    query: SearchQuery,
    filter: Filter,
    { offset, snapshot, hasTrash, now, isCounted }: Beginning,
  ): Promise<SearchPlace> {
    const statistics = await this.#statistics.get(sql);
    const asked = rarest(query.words, statistics);
    const exact = await basisOf(sql, asked, filter, statistics);
    const unknown = asked.filter((lexeme) => exact.words.every((word) => word.lexeme !== lexeme));
    // A name or path of which anything is found is no typing error.
    const mayBeWrong = new Set(exact.words.length === 0 ? query.spelled : query.single);
    const corrected = await correctionsOf(
      sql,
      unknown.filter((lexeme) => mayBeWrong.has(lexeme)),
      filter,
    );
    const words = [...new Set([...asked, ...corrected.map(({ to }) => to)])];
    const basis = corrected.length === 0 ? exact : await basisOf(sql, words, filter, statistics);
    const total = await counted(sql, query, basis, filter, {
      limit: totalLimit(basis, isCounted),
      hasTrash,
    });
    const { languages } = query;
    return { snapshot, basis, languages, ...total, corrected, offset, now };
  }

  /** Returns the corrections as the words are spelled in the query and in the hits. */
  async #corrected(
    sql: SQL,
    text: string,
    place: SearchPlace,
    shown: Map<string, string>,
  ): Promise<Pick<SearchReply, "corrected">> {
    if (place.corrected.length === 0 || place.total === 0) return {};
    const words = place.corrected.map(({ from }) => ({ lexeme: from, count: 1 }));
    const asked = wordMarker(sql, { ...place.basis, words }, place.languages, this.#lexemes);
    await asked.mark([text]);
    return {
      corrected: place.corrected.map(({ from, to }) => ({
        from: asked.shown.get(from) ?? from,
        to: shown.get(to) ?? to,
      })),
    };
  }

  #marker(sql: SQL, query: SearchQuery, { basis, languages }: SearchPlace): Marker {
    return isLiteral(query) ? literalMarker(query.literal) : wordMarker(sql, basis, languages, this.#lexemes);
  }
}

/** What a search begins with besides its query and filters. */
interface Beginning {
  offset: number;
  snapshot: string;
  /** Whether any conversation is in the trash. */
  hasTrash: boolean;
  now: number;
  /** Whether its hits are counted by their facets. */
  isCounted: boolean;
}

/** A query that is looked for by meaning. */
interface Sought extends Asked {
  mode: "meaning" | "both";
  /** Whether meaning counts only when words find nothing. */
  isWord: boolean;
}

const LACKING: Record<Lacking, string> = {
  away: "the embeddings endpoint is away",
  loading: "the vectors of messages are being read",
  none: "no message has its vectors yet",
};

/** The order of a request's hits, and what its later pages must know of meaning. */
async function ordered(
  sql: SQL,
  query: SearchQuery,
  place: SearchPlace,
  { filter, narrowing, sought }: { filter: Filter; narrowing: Narrowing; sought: Sought | Lacking | undefined },
): Promise<{ order: Order; total: number; meaning: SearchPlace["meaning"] }> {
  const words: WordOrder = (page) => found(sql, query, place, filter, page);
  const isByWords = typeof sought !== "object" || (sought.isWord && place.total > 0);
  if (isByWords) return { order: { page: words }, total: place.total, meaning: undefined };
  const { model, mode } = sought;
  const upTo = place.meaning?.model === model.id ? place.meaning.upTo : await visiblePassages(sql, sought);
  const limit = mode === "meaning" ? MAX_MEANT : JOINED_MEANT;
  const meant = await nearest(sql, { ...sought, upTo, filter, narrowing, limit });
  const seen = { model: model.id, upTo };
  if (mode === "meaning") return { order: meantOrder(meant), total: meant.length, meaning: seen };
  const order = await joined(words, meant, knownShare(query, place.basis));
  return { order, total: place.total + order.added, meaning: seen };
}

/** Share of the query's words, by their rarity, that any message holds. */
function knownShare({ words }: SearchQuery, { words: known, rows }: Basis): number {
  const rarity = (count: number) => Math.log(1 + (Math.max(rows, count) - count + 0.5) / (count + 0.5));
  const held = known.reduce((sum, { count }) => sum + rarity(count), 0);
  const unknown = words.filter((lexeme) => known.every((word) => word.lexeme !== lexeme)).length * rarity(0);
  return held + unknown === 0 ? 0 : held / (held + unknown);
}

interface Page {
  offset: number;
  limit: number;
}

/** Of a query without words nothing is counted, and of more hits than are counted every facet is absent. */
async function facetsIn(
  sql: SQL,
  query: SearchQuery & RequiredWords,
  { basis, corrected, isLowerBound }: SearchPlace,
  narrowing: Parameters<typeof filterOf>[1],
): Promise<Pick<SearchReply, "facets">> {
  if (basis.words.length === 0) return {};
  if (isLowerBound) return { facets: {} };
  // Of few words also those that occur only where the search is not narrowed to.
  const asked = query.words.length <= MAX_WORDS ? query.words : [];
  const lexemes = new Set([...asked, ...corrected.map(({ to }) => to), ...basis.words.map(({ lexeme }) => lexeme)]);
  return { facets: await readSearchFacets(sql, [...lexemes], narrowing, query) };
}

async function unmatchedIn(
  sql: SQL,
  narrowing: Parameters<typeof meetsNone>[1],
): Promise<Pick<SearchReply, "unmatched">> {
  const unmatched = await meetsNone(sql, narrowing);
  return unmatched.length > 0 ? { unmatched } : {};
}

/** Whether a query is filters only. */
function isListing(query: SearchQuery, filter: Filter): boolean {
  return query.isEmpty && filter.values.length > 0;
}

function found(sql: SQL, query: SearchQuery, { basis }: SearchPlace, filter: Filter, page: Page): Promise<Ranked[]> {
  if (isListing(query, filter)) return findNewest(sql, filter, page);
  return isLiteral(query) ? findLiterally(sql, query.literal, filter, page) : rank(sql, basis, filter, page);
}

function counted(
  sql: SQL,
  query: SearchQuery,
  basis: Basis,
  filter: Filter,
  bounds: Parameters<typeof countMatches>[3],
): Promise<Total> {
  if (isListing(query, filter)) return countNewest(sql, filter);
  return isLiteral(query) ? countLiterally(sql, query.literal, filter) : countMatches(sql, basis, filter, bounds);
}

/** Returns whether the query has no indexed word: only stop words or signs, for example. */
function isLiteral(query: SearchQuery): boolean {
  return query.words.length === 0 && query.required.length === 0;
}

/** Keeps the rarest words of a long query; among equally rare ones, the first. */
function rarest(words: string[], statistics: Statistics): string[] {
  const frequency = (word: string) => statistics.frequencies.get(word) ?? 0;
  const inOrder = words.toSorted((a, b) => frequency(a) - frequency(b));
  const others = new Set(inOrder.filter((word) => Array.from(word).some(isUnspaced)).slice(MAX_PAIRS));
  return inOrder.filter((word) => !others.has(word)).slice(0, MAX_WORDS);
}

/** How the pieces of long contents are found that hold the words; undefined where none is in sections. */
function piecesOf(sql: SQL, { basis }: SearchPlace, { sections }: Filter): MatchOptions["pieces"] {
  return sections && ((ids) => bestPieces(sql, ids, weigh(basis), sections));
}
