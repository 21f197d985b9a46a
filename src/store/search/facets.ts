import type { SQL } from "bun";
import { MOST_VALUES } from "../facets.ts";
import type { FacetValue } from "../facets.ts";
import { EXACT_TOTAL_LIMIT } from "../reply.ts";
import { MAX_SCOPE_MESSAGES, filterOf } from "./filter.ts";
import type { Narrowing, RequiredWords } from "./filter.ts";
import { holds, holdsAny } from "./holding.ts";
import { anyOf, tsquery } from "./query.ts";

/** What hits are counted by, and where it stands: `h` is a hit and `c` its conversation. */
const COLUMNS = { client: "c.client", folder: "c.folder", role: "h.role" } as const;
type FacetName = keyof typeof COLUMNS;
const NAMES = Object.keys(COLUMNS) as FacetName[];

/** The commonest values of what a search can be narrowed by, each with the number of its hits. */
export type SearchFacets = Partial<Record<FacetName, FacetValue[]>>;

/**
 * Counts the hits of any of the words by each facet: of one that the search is narrowed by among the hits without it, so that a
 * person sees what choosing another value would give. A facet is absent when its hits are more than are counted.
 */
export async function readSearchFacets(
  sql: SQL,
  lexemes: string[],
  narrowing: Narrowing,
  query: RequiredWords,
): Promise<SearchFacets> {
  const isChosen = (name: FacetName) => narrowing[name] !== undefined;
  const facets = await countBy(
    sql,
    NAMES.filter((name) => !isChosen(name)),
    lexemes,
    narrowing,
    query,
  );
  for (const name of NAMES.filter(isChosen))
    Object.assign(facets, await countBy(sql, [name], lexemes, { ...narrowing, [name]: undefined }, query));
  return facets;
}

async function countBy(
  sql: SQL,
  names: FacetName[],
  lexemes: string[],
  narrowing: Narrowing,
  query: RequiredWords,
): Promise<SearchFacets> {
  if (names.length === 0) return {};
  const filter = await filterOf(sql, narrowing, query, undefined);
  const isScoped = filter.scopeMessages !== undefined && filter.scopeMessages <= MAX_SCOPE_MESSAGES;
  const matches = isScoped ? holdsAny(lexemes, query.isSectioned) : holds(tsquery(anyOf(lexemes)), query.isSectioned);
  const counts = names.map(
    (name) => `(select '${name}' as facet, ${COLUMNS[name]} as value, count(*)::integer as count
      from hits h join conversations c on c.id = h.conversation_id
      where ${COLUMNS[name]} is not null group by 2 order by 3 desc, 2 limit ${MOST_VALUES})`,
  );
  const rows: { facet: FacetName | null; value: string; count: number }[] = await sql.unsafe(
    `with hits as materialized (
      select m.conversation_id, m.role from messages m
      where ${matches} and ${filter.condition} limit ${EXACT_TOTAL_LIMIT + 1})
    select null as facet, '' as value, count(*)::integer as count from hits union all ${counts.join(" union all ")}`,
    filter.values,
  );
  const total = rows.find(({ facet }) => facet === null)?.count ?? 0;
  if (total > EXACT_TOTAL_LIMIT) return {};
  const valuesOf = (name: FacetName) =>
    rows.filter(({ facet }) => facet === name).map(({ value, count }) => ({ value, count }));
  return Object.fromEntries(names.map((name) => [name, valuesOf(name)]));
}
