import { expect, test } from "bun:test";
import { folded, withPlainDigits } from "../../../src/store/search/folding.ts";

/** Letters and digits of Unicode in a range. */
function charactersBetween(first: number, last: number): string[] {
  const all = Array.from({ length: last - first + 1 }, (_, index) => first + index);
  return all
    .filter((code) => code < 0xd8_00 || code > 0xdf_ff)
    .map((code) => String.fromCodePoint(code))
    .filter((character) => /[\p{L}\p{N}]/u.test(character));
}

const all = charactersBetween(0x80, 0x1_ff_ff);
/**
 * Not folded: iota beneath, which capitals have beside them, forms of Cyrillic letters in old books, and vowels of Kirat Rai that
 * are composed of letters.
 */
const exceptions = /[\u1c80-\u1c88\u1f80-\u1ffc\u{16d68}-\u{16d6a}]/u;

test("a letter is the same in capitals, in small letters, composed and decomposed", () => {
  const differing = all.filter(
    (letter) =>
      !exceptions.test(letter) &&
      [letter.toUpperCase(), letter.toLowerCase(), letter.normalize("NFD")].some(
        (each) => folded(each) !== folded(letter),
      ),
  );
  expect(differing).toEqual([]);
});

test("a folded letter holds no sign and no space, and is folded no further", () => {
  expect(all.filter((letter) => /[^\p{L}\p{N}\p{M}]/u.test(folded(letter)))).toEqual([]);
  expect(all.filter((letter) => folded(folded(letter)) !== folded(letter))).toEqual([]);
});

test("letters that stand for others are these, and what is not seen is left out", () => {
  const forms = {
    ﬃ: "ffi",
    Ａ９: "a9",
    ｶﾞ: "ガ",
    𝕏: "x",
    ª: "a",
    µ: "μ",
    Ⅷ: "viii",
    ﷲ: "الله",
    ŀ: "l",
    ſ: "s",
    ǆ: "dz",
  };
  for (const [given, form] of Object.entries(forms)) expect([given, folded(given)]).toEqual([given, form]);
  expect(folded("a\u00adb\u200bc\u200dd\ufe0fe\u{e0100}f")).toBe("abcdef");
});

test("a stress on a Cyrillic letter is no part of it, and a mark that makes another letter is", () => {
  expect(folded("за́мок Ѐ")).toBe("замок е");
  expect(folded("Йи\u0306 Їў")).toBe("йй їў");
});

test("digits of any script have their values", () => {
  expect(withPlainDigits("٠١٢٣٤٥٦٧٨٩ ०९ ๐๙ 𞥐𞥙")).toBe("0123456789 09 09 09");
  expect(withPlainDigits("12 x")).toBeUndefined();
});
