import { expect, test } from "bun:test";
import { Cache } from "../../../src/cache.ts";
import { findMarks } from "../../../src/store/search/marks.ts";
import { connect, emptyDatabase, engines } from "../../support/postgres.ts";

for (const engine of engines)
  test(`the lexemes of words are remembered, but for very long words, on ${engine.name}`, async () => {
    await using sql = connect(await emptyDatabase(engine));
    const lexemes = new Cache<readonly string[]>(10);
    const long = `abacus${"a".repeat(100)}`;
    const sought = [{ lexeme: "abacus", weight: 1 }];
    const marks = await findMarks(sql, [`${long} abacus`], sought, { languages: ["english"], lexemes });
    expect(marks).toEqual([
      [{ start: long.length + 1, end: long.length + 7, sought: { lexeme: "abacus", weight: 1 } }],
    ]);
    expect(lexemes.get("english abacus")).toEqual(["abacus"]);
    expect(lexemes.get(`english ${long}`)).toBeUndefined();
  });
