import { createHash } from "node:crypto";
import type { z } from "zod";
import { DeweyError } from "../errors.ts";

/** Hexadecimal digits of the hash at the start of a cursor: enough to reject typing errors and other requests. */
const CHECK_CHARACTERS = 16;

/** Encodes a place as an opaque text that is valid only for this request. */
export function encodeCursor(place: object, request: unknown): string {
  const json = JSON.stringify(place);
  return Buffer.from(check(json, request) + json).toString("base64url");
}

/**
 * The place at which a request with a cursor continues; undefined without a cursor. Throws `invalid` for a cursor that
 * `encodeCursor` did not make for this request, and for an offset beside a cursor.
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
      "cursor should be the previous page's next_cursor, with all other fields unchanged; omit it to start over";
    throw new DeweyError("invalid", message, { field: "cursor" });
  }
  if (input.offset > 0) {
    const message = "offset should be omitted when there is a cursor";
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
