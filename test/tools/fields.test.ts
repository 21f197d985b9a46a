import { describe, expect, test } from "bun:test";
import type { z } from "zod";
import * as fields from "../../src/tools/fields.ts";

/** The parsed value, or the message of the first mistake. */
function parse(schema: z.ZodType, value: unknown): unknown {
  const parsed = schema.safeParse(value);
  return parsed.success ? parsed.data : (parsed.error.issues[0]?.message ?? "");
}

const lone = "a\uD800";

describe("a field of a tool", () => {
  test("that is an id is a UUID in either case", () => {
    const id = "0190f5fe-7d3c-7a10-8F00-0123456789ab";
    expect(parse(fields.uuid("x"), id)).toBe(id);
    for (const wrong of ["", "x", `${id}0`, `0${id}`, id.replace("f", "g"), id.replaceAll("-", "")])
      expect(parse(fields.uuid("x"), wrong)).toBe("should be a UUID");
  });

  test("that is a key has 1 to 500 characters that PostgreSQL can store", () => {
    const key = fields.key("x");
    expect(parse(key, "é漢🙂")).toBe("é漢🙂");
    expect(parse(key, "x".repeat(500))).toBe("x".repeat(500));
    expect(parse(key, "x".repeat(501))).toBe("should have at most 500 characters");
    expect(parse(key, "")).toBe("should not be empty");
    for (const wrong of ["a\0b", lone]) {
      expect(parse(key, wrong)).toBe("should not contain U+0000 or lone surrogates");
      expect(parse(fields.plainContent("x"), wrong)).toBe("should not contain U+0000 or lone surrogates");
      expect(parse(fields.content("x"), wrong)).toBe(wrong);
    }
  });

  test("that is content is not empty, and may be long", () => {
    for (const content of [fields.content("x"), fields.plainContent("x")]) {
      expect(parse(content, "")).toBe("should not be empty");
      expect(parse(content, "x".repeat(10_000))).toBe("x".repeat(10_000));
    }
  });

  test("that is a role is one of four", () => {
    for (const role of ["user", "assistant", "system", "tool"]) expect(parse(fields.role, role)).toBe(role);
    expect(parse(fields.role, "robot")).toBe("should be one of user, assistant, system, tool");
  });

  test("that is metadata is an object of at most 100 levels, however they are made", () => {
    const metadata = fields.metadata("x");
    const nested = (levels: number, wrap: (inner: unknown) => unknown) => {
      let value: unknown = 1;
      for (let level = 1; level < levels; level += 1) value = wrap(value);
      return { beside: 1, value };
    };
    for (const wrap of [(inner: unknown) => [inner], (inner: unknown) => ({ a: 1, inner })]) {
      expect(parse(metadata, nested(100, wrap))).toEqual(nested(100, wrap));
      expect(parse(metadata, nested(101, wrap))).toBe("should not be nested deeper than 100 levels");
      // So deep that counting all of it would overflow the stack.
      expect(parse(metadata, nested(1_000_000, wrap))).toBe("should not be nested deeper than 100 levels");
    }
    for (const wrong of [[], "x", null, 1]) expect(parse(metadata, wrong)).toBe("should be an object");
  });

  test("that is metadata keeps every key, whatever it is called", () => {
    const text = '{"__proto__":{"a":1},"constructor":2,"":3}';
    expect(JSON.stringify(parse(fields.metadata("x"), JSON.parse(text)))).toBe(text);
  });

  test("that filters by metadata holds at most 100 values, counted no further than that", () => {
    const filter = fields.metadataFilter("x");
    const wide = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, index]));
    expect(parse(filter, wide(100))).toEqual(wide(100));
    for (const wrong of [wide(101), wide(100_000), { a: wide(100) }, { a: [Array(98).fill(1), 1] }])
      expect(parse(filter, wrong)).toBe("should hold at most 100 values");
    expect(parse(filter, { a: [Array(97).fill(1), 1] })).toBeObject();
  });

  test("that is a query has at most 2,000 words of any length, without U+0000", () => {
    for (const right of ["word ".repeat(2000), "x".repeat(100_000)])
      expect(parse(fields.searchQuery, right)).toBe(right);
    for (const wrong of ["word ".repeat(2001), "a\n".repeat(1_000_000)])
      expect(parse(fields.searchQuery, wrong)).toBe("should have at most 2000 words");
    for (const wrong of ["a\0b", lone])
      expect(parse(fields.searchQuery, wrong)).toBe("should not contain U+0000 or lone surrogates");
  });

  test("that is a moment is ISO 8601, in UTC without a time zone", () => {
    const moment = fields.moment("x");
    const moments = {
      "2026-01-31": "2026-01-31T00:00:00.000Z",
      "2026-01-31T12:00": "2026-01-31T12:00:00.000Z",
      "2026-01-31 12:00:01": "2026-01-31T12:00:01.000Z",
      "2026-01-31T12:00:01.123456789Z": "2026-01-31T12:00:01.123Z",
      "2026-01-31T12:00:00+02:00": "2026-01-31T10:00:00.000Z",
      "2026-01-31t12:00:00-0330": "2026-01-31T15:30:00.000Z",
      "2024-02-29": "2024-02-29T00:00:00.000Z",
    };
    for (const [text, utc] of Object.entries(moments)) expect(parse(moment, text)).toBe(utc);
    const wrong = ["", "x", "2026-02-30", "2025-02-29", "2026-13-01", "2026-1-1", "2026-01-31T25:00", "1769860800"];
    for (const text of [...wrong, "2026-01-31T12", "2026-02-30T12:00:00Z", "Sat, 31 Jan 2026 12:00:00 GMT"])
      expect(parse(moment, text)).toBe("should be an ISO 8601 date and time such as 2026-01-31T12:00:00Z");
  });

  test("that limits a period includes the whole of its last day", () => {
    expect(parse(fields.narrowing.start_date, "2026-01-31")).toEqual(new Date("2026-01-31T00:00:00Z"));
    expect(parse(fields.narrowing.end_date, "2026-01-31")).toEqual(new Date("2026-02-01T00:00:00Z"));
    expect(parse(fields.narrowing.start_date, "2026-01-31T12:00:00Z")).toEqual(new Date("2026-01-31T12:00:00Z"));
    expect(parse(fields.narrowing.end_date, "2026-01-31T12:00:00Z")).toEqual(new Date("2026-01-31T12:00:00.001Z"));
    for (const date of [fields.narrowing.start_date, fields.narrowing.end_date])
      expect(parse(date, "soon")).toStartWith("should be a time such as 3d, 2w, yesterday, 2026-01-31 or");
  });

  test("that pages has bounds and defaults", () => {
    expect([parse(fields.limit, undefined), parse(fields.limit, 1), parse(fields.limit, 100)]).toEqual([20, 1, 100]);
    for (const wrong of [0, 101, -1]) expect(parse(fields.limit, wrong)).toBe("should be from 1 to 100");
    expect([parse(fields.offset, undefined), parse(fields.offset, 2_147_483_647)]).toEqual([0, 2_147_483_647]);
    expect(parse(fields.offset, -1)).toBe("should be 0 or more");
    expect(parse(fields.offset, 2_147_483_648)).toBe("should be at most 2147483647");
    for (const number of [fields.limit, fields.offset, fields.whole(1, "x")])
      expect(parse(number, 1.5)).toBe("should be a whole number");
    expect([parse(fields.cursor, "c"), parse(fields.cursor, undefined)]).toEqual(["c", undefined]);
    expect(parse(fields.cursor, "")).toBe("should not be empty");
  });

  test("that marks a total as a lower bound is true or absent", () => {
    expect([parse(fields.totalIsLowerBound, true), parse(fields.totalIsLowerBound, undefined)]).toEqual([
      true,
      undefined,
    ]);
    expect(fields.totalIsLowerBound.safeParse(false).success).toBe(false);
  });

  test("that counts is an integer of PostgreSQL", () => {
    const whole = fields.whole(1, "x");
    expect([parse(whole, 1), parse(whole, 2_147_483_647)]).toEqual([1, 2_147_483_647]);
    expect(parse(whole, 0)).toBe("should be 1 or more");
    expect(parse(whole, 2_147_483_648)).toBe("should be at most 2147483647");
  });
});
