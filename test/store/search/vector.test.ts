import { describe, expect, test } from "bun:test";
import { placesIn } from "../../../src/store/search/vector.ts";

/** Writes a vector as `tsvectorsend` does. */
function vectorOf(lexemes: Record<string, number[]>): Uint8Array {
  const parts = Object.entries(lexemes).map(([lexeme, positions]) => {
    const numbers = Buffer.alloc(2 + 2 * positions.length);
    numbers.writeUInt16BE(positions.length, 0);
    for (const [index, position] of positions.entries()) numbers.writeUInt16BE(position, 2 + 2 * index);
    return Buffer.concat([Buffer.from(`${lexeme}\0`), numbers]);
  });
  const count = Buffer.alloc(4);
  count.writeInt32BE(parts.length, 0);
  return Buffer.concat([count, ...parts]);
}

describe("the places of a query's words in a vector", () => {
  test("are in the order of the text, whatever the order of the words", () => {
    const vector = vectorOf({ apple: [3, 9], banana: [5], cherry: [1] });
    expect(placesIn(vector, ["cherry", "apple"])).toEqual([
      { position: 1, word: 0 },
      { position: 3, word: 1 },
      { position: 9, word: 1 },
    ]);
  });

  test("are those of whole lexemes, in bytes, not in characters", () => {
    const vector = vectorOf({ an: [1], ann: [2], änn: [3], anna: [4] });
    expect(placesIn(vector, ["ann", "änn"]).map(({ position }) => position)).toEqual([2, 3]);
  });

  test("are those of all lexemes that begin like a prefix", () => {
    const vector = vectorOf({ an: [1], ann: [2], anna: [4], bann: [5] });
    expect(placesIn(vector, ["ann*"]).map(({ position }) => position)).toEqual([2, 4]);
  });

  test("have no weights, and lexemes without positions have none", () => {
    const labelled = 0xc0_00 | 7;
    expect(placesIn(vectorOf({ label: [labelled], "?": [] }), ["label", "?"])).toEqual([{ position: 7, word: 0 }]);
  });
});
