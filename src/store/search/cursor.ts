import { z } from "zod";
import type { Correction } from "./corrections.ts";
import { parseSnapshot } from "../snapshot.ts";
import type { Basis } from "./basis.ts";

/** Where a search continues, and what its first page found: later pages keep to it, whatever is stored in between. */
export interface SearchPlace {
  /** PostgreSQL's snapshot of the first page: the messages that were visible. */
  snapshot: string;
  basis: Basis;
  /** Languages in which the query was parsed; other languages give other lexemes. */
  languages: string[];
  /** As counted for the first page. */
  total: number;
  /** Whether there may be more. */
  isLowerBound: boolean;
  /** Words of the query that were searched in another spelling. */
  corrected: Correction[];
  offset: number;
  /** When it was looked for by meaning too: the model, and the highest passage that was visible. */
  meaning?: { model: string; upTo: number } | undefined;
  /** When it was first asked, in ms since 1970: what `3d` counts from. */
  now: number;
}

const count = z.number().int().min(0);

export const placeSchema: z.ZodType<SearchPlace> = z.strictObject({
  snapshot: z.string().refine((text) => parseSnapshot(text) !== undefined),
  basis: z.strictObject({
    scoped: z.boolean(),
    rows: count,
    averageLength: count.min(1),
    words: z.array(z.strictObject({ lexeme: z.string(), count })),
    passing: z.number().min(0).max(1),
    since: z.array(count),
    matches: count.optional(),
  }),
  languages: z.array(z.string()),
  total: count,
  isLowerBound: z.boolean(),
  corrected: z.array(z.strictObject({ from: z.string(), to: z.string() })),
  offset: count,
  meaning: z.strictObject({ model: z.uuid(), upTo: count }).optional(),
  now: count,
});
