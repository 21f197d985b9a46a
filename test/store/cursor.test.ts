import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { DeweyError } from "../../src/errors.ts";
import { encodeCursor, placeOf } from "../../src/store/cursor.ts";

const schema = z.strictObject({ after: z.int() });
const request = ["lists", "s", { sort: "up" }];
const cursor = encodeCursor({ after: 7 }, request);

/** The field that a cursor is refused by. */
function refused(input: { cursor: string; offset: number }, asked: unknown = request): string | undefined {
  try {
    placeOf(input, asked, schema);
  } catch (error) {
    if (error instanceof DeweyError && error.code === "invalid") return error.field;
  }
  throw new Error("it was not refused");
}

describe("a cursor", () => {
  test("leads back to its place, and its absence to none", () => {
    expect(placeOf({ cursor, offset: 0 }, request, schema)).toEqual({ after: 7 });
    expect(placeOf({ offset: 5 }, request, schema)).toBeUndefined();
  });

  test("begins with sixteen digits of a hash, so that none is made up", () => {
    expect(Buffer.from(cursor, "base64url").toString()).toMatch(/^[0-9a-f]{16}\{"after":7\}$/);
  });

  test("fits no other request", () => {
    for (const other of [["lists", "t", { sort: "up" }], ["lists", "s", { sort: "down" }], ["lists", "s"], null])
      expect(refused({ cursor, offset: 0 }, other)).toBe("cursor");
  });

  test("is refused when any of its characters was changed, and when it is cut", () => {
    for (let at = 0; at < cursor.length - 1; at += 1) {
      const changed = cursor.slice(0, at) + (cursor[at] === "A" ? "B" : "A") + cursor.slice(at + 1);
      expect(refused({ cursor: changed, offset: 0 })).toBe("cursor");
      expect(refused({ cursor: cursor.slice(0, at), offset: 0 })).toBe("cursor");
    }
  });

  test("of a place that is none of the list's is refused", () => {
    expect(refused({ cursor: encodeCursor({ after: "7" }, request), offset: 0 })).toBe("cursor");
  });

  test("stands alone: an offset beside it is refused", () => {
    expect(refused({ cursor, offset: 1 })).toBe("offset");
  });
});
