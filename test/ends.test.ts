import { expect, test } from "bun:test";
import { withoutEnd } from "../src/ends.ts";

test("characters are cut from the end of a text, and from nowhere else", () => {
  expect(withoutEnd("a\n\nb\r\n\n", "\r\n")).toBe("a\n\nb");
  expect(withoutEnd("/a//", "/", 1)).toBe("/a");
  expect(withoutEnd("///", "/", 1)).toBe("/");
  expect(withoutEnd("", "/", 1)).toBe("");
});
