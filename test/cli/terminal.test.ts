import { describe, expect, test } from "bun:test";
import { pages } from "../../src/cli/pages.ts";
import { bytesText, counted, durationText, table } from "../../src/cli/terminal.ts";
import type { Terminal } from "../../src/cli/terminal.ts";

const plain: Terminal = {
  interactive: false,
  columns: Infinity,
  paint: (_, text) => text,
  markdown: (text) => text,
  prose: (text) => text,
  fit: (text) => text,
};

describe("a text that is shown", () => {
  test("names durations as people do", () => {
    expect([0.4, 12, 999, 1000, 1540, 59_940, 59_960, 61_000, 119_700, 7_200_000].map(durationText)).toEqual([
      "0 ms",
      "12 ms",
      "999 ms",
      "1 s",
      "1.5 s",
      "59.9 s",
      "1 min",
      "1 min 1 s",
      "2 min",
      "120 min",
    ]);
  });

  test("names counts and sizes as people do", () => {
    expect([counted(0, "message"), counted(1, "message"), counted(1234, "match", "matches")]).toEqual([
      "0 messages",
      "1 message",
      "1,234 matches",
    ]);
    expect([0, 999, 1000, 1_540_000, 250e6, 3e15].map(bytesText)).toEqual([
      "0 B",
      "999 B",
      "1.0 kB",
      "1.5 MB",
      "250 MB",
      "3000 TB",
    ]);
  });

  test("is a table whose columns fit their widest cell, with numbers on the right", () => {
    const text = table(
      plain,
      ["NAME", "COUNT", "LAST"],
      [
        ["日本", "5", "x"],
        ["longer", "1,000 ms", ""],
      ],
    );
    expect(text).toBe("NAME    COUNT     LAST\n日本           5  x\nlonger  1,000 ms\n");
  });
});

describe("a list that is read page by page", () => {
  const source = Array.from({ length: 250 }, (_, n) => n);
  const read = (asked: number[]) => (page: { limit: number; cursor?: string }) => {
    asked.push(page.limit);
    const from = Number(page.cursor ?? 0);
    const items = source.slice(from, from + page.limit);
    const end = from + items.length;
    return Promise.resolve({
      items,
      total: source.length,
      limit: page.limit,
      ...(end < source.length ? { next_cursor: `${end}` } : {}),
    });
  };

  test("ends at the limit, with the cursor of the next entry", async () => {
    const asked: number[] = [];
    const reply = await pages(120, "items", read(asked));
    expect(reply).toEqual({ items: source.slice(0, 120), total: 250, limit: 120, next_cursor: "120" });
    expect(asked).toEqual([100, 20]);
  });

  test("ends with the list, and then has no cursor", async () => {
    const reply = await pages(1000, "items", read([]));
    expect(reply).toEqual({ items: source, total: 250, limit: 1000 });
  });
});
