import { describe, expect, test } from "bun:test";
import { ago, sinceMoment, untilMoment } from "../../src/cli/moment.ts";

const now = new Date(2026, 2, 10, 12, 30);
const local = (...parts: [number, number, number, number?, number?]) => new Date(...parts).toISOString();
const since = (text: string) => sinceMoment("--since", text, now);
const until = (text: string) => untilMoment("--until", text, now);

describe("a moment that a person writes", () => {
  test("is so long ago", () => {
    expect(since("3d")).toBe(new Date(now.getTime() - 3 * 86_400_000).toISOString());
    expect(since("2w")).toBe(since("14 d"));
    expect(since("5H")).toBe(since("300 min ago"));
  });

  test("is a day, or a time, in the local time zone", () => {
    expect(since("today")).toBe(local(2026, 2, 10));
    expect(since("Yesterday")).toBe(local(2026, 2, 9));
    expect(since("2026-01-31")).toBe(local(2026, 0, 31));
    expect(since("2026-01-31T12:05")).toBe(local(2026, 0, 31, 12, 5));
    expect(since("2026-01-31 12:05:00")).toBe(local(2026, 0, 31, 12, 5));
    expect(since("2026-01-31T12:05:00+02:00")).toBe("2026-01-31T10:05:00.000Z");
  });

  test("includes the whole day at the end of a period", () => {
    expect(until("yesterday")).toBe(new Date(new Date(2026, 2, 10).getTime() - 1).toISOString());
    expect(until("2026-01-31")).toBe(new Date(new Date(2026, 1, 1).getTime() - 1).toISOString());
    expect(until("2026-01-31T12:05")).toBe(local(2026, 0, 31, 12, 5));
  });

  test("is refused in other forms, with the flag and the forms", () => {
    for (const text of [
      "",
      "soon",
      "3x",
      "d",
      "2026-02-30",
      "2026-13-01",
      "2026-02-30T10:00",
      "9999999d",
      "2026-01-31T25:00",
    ])
      expect(() => since(text)).toThrow(/^--since should be a time such as 3d, .*, not "/);
  });
});

test("an age is told as people say it", () => {
  const before = (seconds: number) => ago(new Date(now.getTime() - seconds * 1000).toISOString(), now);
  expect([0, 59, 60, 3599, 3600, 86_399, 86_400, 6 * 86_400].map(before)).toEqual([
    "just now",
    "just now",
    "1 min ago",
    "59 min ago",
    "1 h ago",
    "23 h ago",
    "1 d ago",
    "6 d ago",
  ]);
  expect(ago(local(2026, 0, 5), now)).toBe("5 Jan");
  expect(ago(local(2025, 11, 24), now)).toBe("24 Dec 2025");
  expect(ago(local(2026, 2, 11), now)).toBe("11 Mar");
});
