import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { DeweyError } from "../../src/errors.ts";
import { encodeCursor, placeOf } from "../../src/store/cursor.ts";

const schema = z.strictObject({ after: z.int() });
const request = ["lists", "s", { sort: "up" }];
const cursor = encodeCursor({ after: 7 }, request);

/** The field named by the refusal of a cursor. */
function refused(input: { cursor: string; offset: number }, asked: unknown = request): string | undefined {
  try {
    placeOf(input, asked, schema);
  } catch (error) {
    if (error instanceof DeweyError && error.code === "invalid") return error.field;
  }
  throw new Error("it was not refused");
}

describe("a cursor", () => {
  test("leads back to its place; without one there is no place", () => {
    expect(placeOf({ cursor, offset: 0 }, request, schema)).toEqual({ after: 7 });
    expect(placeOf({ offset: 5 }, request, schema)).toBeUndefined();
  });

  test("begins with sixteen digits of a hash, so that it cannot be invented", () => {
    expect(Buffer.from(cursor, "base64url").toString()).toMatch(/^[0-9a-f]{16}\{"after":7\}$/);
  });

  test("is refused by any other request", () => {
    for (const other of [["lists", "t", { sort: "up" }], ["lists", "s", { sort: "down" }], ["lists", "s"], null])
      expect(refused({ cursor, offset: 0 }, other)).toBe("cursor");
  });

  test("is refused when any character is changed or cut off", () => {
    for (let at = 0; at < cursor.length - 1; at += 1) {
      const changed = cursor.slice(0, at) + (cursor[at] === "A" ? "B" : "A") + cursor.slice(at + 1);
      expect(refused({ cursor: changed, offset: 0 })).toBe("cursor");
      expect(refused({ cursor: cursor.slice(0, at), offset: 0 })).toBe("cursor");
    }
  });

  test("is refused when its place does not fit the list", () => {
    expect(refused({ cursor: encodeCursor({ after: "7" }, request), offset: 0 })).toBe("cursor");
  });

  test("cannot be combined with an offset", () => {
    expect(refused({ cursor, offset: 1 })).toBe("offset");
  });
});
