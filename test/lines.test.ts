import { describe, expect, test } from "bun:test";
import { LineSplitter } from "../src/lines.ts";
import type { Line } from "../src/lines.ts";

/** Splits the text given in chunks of some size, all in one buffer, as a stream may do it. */
function split(text: string, size: number, maxBytes = 1000): { lines: Line[]; rest: Line } {
  const splitter = new LineSplitter(maxBytes);
  const bytes = Buffer.from(text);
  const shared = Buffer.alloc(size);
  const lines: Line[] = [];
  for (let start = 0; start < bytes.length; start += size)
    lines.push(...splitter.push(shared.subarray(0, bytes.copy(shared, 0, start, start + size))));
  expect(splitter.unfinishedBytes).toBe(splitter.unfinished.bytes);
  return { lines, rest: splitter.unfinished };
}

describe("a splitter of lines", () => {
  test("gives each line with its length, however the stream is cut", () => {
    const text = "é\r\n\n漢字\nlast";
    for (let size = 1; size <= Buffer.byteLength(text); size += 1)
      expect(split(text, size)).toEqual({
        lines: [
          { text: "é", isCut: false, bytes: 4 },
          { text: "", isCut: false, bytes: 1 },
          { text: "漢字", isCut: false, bytes: 7 },
        ],
        rest: { text: "last", isCut: false, bytes: 4 },
      });
  });

  test("cuts a line at the limit, wherever its end is, and goes on with the next", () => {
    for (let size = 1; size <= 20; size += 1) {
      const { lines, rest } = split("12345\n123456\n12\n1234567", size, 5);
      expect(lines).toEqual([
        { text: "12345", isCut: false, bytes: 6 },
        { text: "12345", isCut: true, bytes: 7 },
        { text: "12", isCut: false, bytes: 3 },
      ]);
      expect(rest).toEqual({ text: "12345", isCut: true, bytes: 7 });
    }
  });

  test("takes time in proportion to a line without end, and no memory beyond the limit", () => {
    const splitter = new LineSplitter(1000);
    const chunk = new Uint8Array(64 * 1024).fill(0x61);
    const before = process.memoryUsage().rss;
    for (let index = 0; index < 20_000; index += 1) Array.from(splitter.push(chunk));
    expect(splitter.unfinishedBytes).toBe(20_000 * chunk.length);
    expect(splitter.unfinished.text.length).toBe(1000);
    expect(process.memoryUsage().rss - before).toBeLessThan(200_000_000);
  });
});
