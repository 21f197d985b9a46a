import { describe, expect, test } from "bun:test";
import { objects, lines } from "../../src/capture/rows.ts";
import type { SourceRow } from "../../src/capture/rows.ts";

async function* chunks(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  // One buffer for all chunks, as streams may do it.
  const shared = Buffer.alloc(size);
  for (let start = 0; start < bytes.length; start += size) {
    yield shared.subarray(0, bytes.copy(shared, 0, start, start + size));
  }
}

async function all(rows: AsyncGenerator<SourceRow>): Promise<SourceRow[]> {
  return Array.fromAsync(rows);
}

describe("lines", () => {
  const text = '{"a":"é"}\n\n  \n{"b":"漢字"}\r\n{"c":3}';

  test("come with their numbers and ends, however the stream is cut; empty ones are counted and passed over", async () => {
    for (let size = 1; size <= text.length; size += 1) {
      const rows = await all(lines(chunks(text, size)));
      expect(rows.map((row) => [row.text?.trim(), row.number])).toEqual([
        ['{"a":"é"}', 1],
        ['{"b":"漢字"}', 4],
        ['{"c":3}', 5],
      ]);
      expect(rows.at(-1)?.end).toBe(Buffer.byteLength(text));
    }
  });

  test("of a file that is being written end at the last line end, and are read on from there", async () => {
    const first = await all(lines(chunks(text, 7), undefined, true));
    const last = first.at(-1);
    expect(first.map((row) => row.number)).toEqual([1, 4]);
    const rest = Buffer.from(`${text}\n`).subarray(last?.end).toString();
    expect(await all(lines(chunks(rest, 3), last, true))).toEqual([
      { text: '{"c":3}', number: 5, end: Buffer.byteLength(text) + 1 },
    ]);
  });
});

describe("the objects of an array", () => {
  const values = [{ a: [1, { b: "]}" }] }, { c: '\\"},{' }, [], { é: "漢" }];

  test("come one by one, however the stream is cut, whatever stands in their strings", async () => {
    const text = ` [\n${values.map((value) => JSON.stringify(value)).join(" ,\n ")}\n]\n`;
    for (let size = 1; size <= text.length; size += 1) {
      const rows = await all(objects(chunks(text, size), 1));
      expect(rows.map((row) => JSON.parse(row.text ?? ""))).toEqual(values);
      expect(rows.map((row) => row.number)).toEqual([1, 2, 3, 4]);
    }
  });

  test("that are cut off at the end of the file come as what is there, so that they are told as broken", async () => {
    const rows = await all(objects(chunks('[{"a":1},{"b":', 4), 1));
    expect(rows.map((row) => row.text)).toEqual(['{"a":1}', '{"b":']);
  });
});
