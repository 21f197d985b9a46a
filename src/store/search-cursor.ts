import { createHash } from "node:crypto";
import { z } from "zod";
import { DeweyError } from "../errors.ts";
import type { Correction } from "./search-corrections.ts";
import { snapshotPattern } from "./search-filter.ts";
import type { Basis } from "./search-rank.ts";

/** Hexadecimal digits of the hash that a cursor begins with: enough that no slip of a pen and no other search fits. */
const CHECK_CHARACTERS = 16;

/** Where a search goes on, and what its first page found: the later ones stay with that, whatever is stored meanwhile. */
export interface Place {
  /** Of PostgreSQL: which messages were there. */
  snapshot: string;
  basis: Basis;
  /** As counted for the first page, and whether there may be more. */
  total: number;
  isLowerBound: boolean;
  /** Words of the query that were looked for in another spelling. */
  corrected: Correction[];
  offset: number;
}

const count = z.number().int().min(0);

const placeSchema: z.ZodType<Place> = z.strictObject({
  snapshot: z.string().regex(snapshotPattern),
  basis: z.strictObject({
    scoped: z.boolean(),
    rows: count,
    averageLength: count.min(1),
    words: z.array(z.strictObject({ lexeme: z.string(), count })),
    passing: z.number().min(0).max(1),
    since: z.array(count),
  }),
  total: count,
  isLowerBound: z.boolean(),
  corrected: z.array(z.strictObject({ from: z.string(), to: z.string() })),
  offset: count,
});

/** The place as a text that means nothing to others. It fits only the request that it was made for. */
export function encodeCursor(place: Place, request: unknown): string {
  const json = JSON.stringify(place);
  return Buffer.from(check(json, request) + json).toString("base64url");
}

/** Throws `invalid` for anything that `encodeCursor` did not make for this request. */
export function decodeCursor(cursor: string, request: unknown): Place {
  const text = Buffer.from(cursor, "base64url").toString();
  const json = text.slice(CHECK_CHARACTERS);
  const place =
    check(json, request) === text.slice(0, CHECK_CHARACTERS) ? placeSchema.safeParse(JSON.parse(json)) : undefined;
  if (place?.success) return place.data;
  throw new DeweyError(
    "invalid",
    "cursor should be the next_cursor of the page before, with the same query and filters; to begin anew, leave it out",
    { field: "cursor" },
  );
}

function check(json: string, request: unknown): string {
  return createHash("sha256")
    .update(JSON.stringify([json, request]))
    .digest("hex")
    .slice(0, CHECK_CHARACTERS);
}
