import { z } from "zod";
import type { Correction } from "./corrections.ts";
import { snapshotPattern } from "./filter.ts";
import type { Basis } from "./rank.ts";

/** Where a search goes on, and what its first page found: the later ones stay with that, whatever is stored meanwhile. */
export interface SearchPlace {
  /** Of PostgreSQL: which messages were there. */
  snapshot: string;
  basis: Basis;
  /** The languages that words were looked for in: in others there are other words. */
  languages: string[];
  /** As counted for the first page, and whether there may be more. */
  total: number;
  isLowerBound: boolean;
  /** Words of the query that were looked for in another spelling. */
  corrected: Correction[];
  offset: number;
}

const count = z.number().int().min(0);

export const placeSchema: z.ZodType<SearchPlace> = z.strictObject({
  snapshot: z.string().regex(snapshotPattern),
  basis: z.strictObject({
    scoped: z.boolean(),
    rows: count,
    averageLength: count.min(1),
    words: z.array(z.strictObject({ lexeme: z.string(), count })),
    passing: z.number().min(0).max(1),
    since: z.array(count),
  }),
  languages: z.array(z.string()),
  total: count,
  isLowerBound: z.boolean(),
  corrected: z.array(z.strictObject({ from: z.string(), to: z.string() })),
  offset: count,
});
