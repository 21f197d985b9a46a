import type { SQL } from "bun";

/** A value of a facet, and the number of what has it. */
export interface FacetValue {
  value: string;
  count: number;
}

/** The commonest values of what lists can be narrowed by. */
export interface Facets {
  client: FacetValue[];
  folder: FacetValue[];
}

/** Values of each facet: more than a person reads. */
export const MOST_VALUES = 40;

/**
 * Counts the values of each facet among the conversations that meet the other conditions: `filter(name)` is the filter
 * without the facet's own, so that a person sees what choosing another value would give.
 */
export async function readFacets(sql: SQL, filter: (without: keyof Facets) => SQL.Query<unknown>): Promise<Facets> {
  const values = async (name: keyof Facets): Promise<FacetValue[]> => sql`
    select ${sql(name)} as value, count(*)::integer as count from conversations
    where ${filter(name)} and ${sql(name)} is not null group by 1 order by 2 desc, 1 limit ${MOST_VALUES}`;
  return { client: await values("client"), folder: await values("folder") };
}
