import { createHash } from "node:crypto";
import type { z } from "zod";
import { DeweyError } from "../errors.ts";

/** Hexadecimal digits of the hash that a cursor begins with: enough that no slip of a pen and no other request fits. */
const CHECK_CHARACTERS = 16;

/** The place as a text that means nothing to others. It fits only the request that it was made for. */
export function encodeCursor(place: object, request: unknown): string {
  const json = JSON.stringify(place);
  return Buffer.from(check(json, request) + json).toString("base64url");
}

/**
 * Where a request with a cursor goes on; undefined for one without. Throws `invalid` for anything that `encodeCursor` did
 * not make for this request, and for an offset beside the cursor.
 */
export function placeOf<Place>(
  input: { cursor?: string | undefined; offset: number },
  request: unknown,
  schema: z.ZodType<Place>,
): Place | undefined {
  if (input.cursor === undefined) return undefined;
  const text = Buffer.from(input.cursor, "base64url").toString();
  const json = text.slice(CHECK_CHARACTERS);
  const place =
    check(json, request) === text.slice(0, CHECK_CHARACTERS) ? schema.safeParse(JSON.parse(json)) : undefined;
  if (!place?.success) {
    const message =
      "cursor should be the next_cursor of the page before, with everything else as it was; to begin anew, leave it out";
    throw new DeweyError("invalid", message, { field: "cursor" });
  }
  if (input.offset > 0) {
    const message = "offset should be left out with a cursor, which knows its place";
    throw new DeweyError("invalid", message, { field: "offset" });
  }
  return place.data;
}

function check(json: string, request: unknown): string {
  return createHash("sha256")
    .update(JSON.stringify([json, request]))
    .digest("hex")
    .slice(0, CHECK_CHARACTERS);
}
