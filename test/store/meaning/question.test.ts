import { describe, expect, test } from "bun:test";
import { meantBy } from "../../../src/store/meaning/question.ts";

describe("what of a query is looked for by meaning", () => {
  test.each([
    ["how do I log in", "how do I log in"],
    ["where does parseQuery read the minus?", "where does parseQuery read the minus?"],
    ["log in -password", "log in"],
    ['log in -"two words" -x', "log in"],
    ["  broken   lamp ", "broken lamp"],
    ["如何修复登录错误", "如何修复登录错误"],
    ["what is 5 plus 5", "what is 5 plus 5"],
  ])("%s", (query, text) => {
    expect(meantBy(query)).toEqual({ text, isWord: false });
  });

  test("a single word is, where words find nothing", () => {
    expect(meantBy("automobile")).toEqual({ text: "automobile", isWord: true });
    expect(meantBy("猫")).toEqual({ text: "猫", isWord: true });
  });

  test.each([
    ["", "nothing"],
    ["-word", "only what must not occur"],
    ["parseQuery", "an identifier"],
    ["max_words", "an identifier"],
    ["src/store/search.ts", "a path"],
    ["search.ts", "a file"],
    ["C:\\Users\\me", "a path"],
    ["--force", "a flag"],
    ["ECONNREFUSED 127.0.0.1:5432", undefined],
    ["404 502", "numbers"],
    ["f81d4fae-7dec-11d0", "an id"],
    ['"exact words" around', "a phrase"],
    ['"exact words"', "a phrase"],
    ["auth*", "a prefix"],
    ["the auth*", "a prefix"],
    ["?! …", "signs"],
  ])("%s: %s", (query, what) => {
    if (what === undefined) expect(meantBy(query)).toBeDefined();
    else expect(meantBy(query)).toBeUndefined();
  });

  test("a phrase of nothing, a quote that is not closed and an emphasis are no operators", () => {
    expect(meantBy('"" the lamp')).toBeDefined();
    expect(meantBy('the 5" lamp is broken')).toBeDefined();
    expect(meantBy("the *broken* lamp")).toBeDefined();
  });
});
