import { describe, expect, test } from "bun:test";
import { textArray } from "../../../src/store/append/texts.ts";
import { connect, emptyDatabase, engines } from "../../support/postgres.ts";

const LONG = "x\"\\{},'\n\t é NULL $1 ".repeat(1000);

for (const engine of engines) {
  test(`texts reach ${engine.name} as they are, however many and long they are`, async () => {
    await using sql = connect(await emptyDatabase(engine));
    const lists = [[], ["a", null, "NULL"], [LONG, null, ""], [null, LONG], Array.from({ length: 40 }, () => LONG)];
    for (const list of lists) {
      const [row] = await sql`select ${textArray(sql, list)} as texts, ${7}::integer as behind`;
      expect(row).toEqual({ texts: list, behind: 7 });
    }
  });
}

describe("the statement of texts", () => {
  const parametersOf = async (texts: (string | null)[]) => {
    const [engine] = engines;
    if (!engine) throw new Error("no engine");
    await using sql = connect(await emptyDatabase(engine));
    await sql`select ${textArray(sql, texts)}`;
    const [row] = await sql`select cardinality(parameter_types) as count from pg_prepared_statements
      where statement like 'select %[%' and statement not like '%pg_prepared_statements%'`;
    return row?.count;
  };

  test("has a parameter for each of a few long texts, and one for all others", async () => {
    expect(await parametersOf([LONG, LONG, null])).toBe(3);
    expect(await parametersOf(["short", "short"])).toBe(1);
    expect(await parametersOf(Array.from({ length: 40 }, () => LONG))).toBe(1);
  });
});
