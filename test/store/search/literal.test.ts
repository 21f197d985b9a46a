import { expect, test } from "bun:test";
import { filterOf } from "../../../src/store/search/filter.ts";
import type { Narrowing } from "../../../src/store/search/filter.ts";
import { countLiterally, findLiterally, literalMarks } from "../../../src/store/search/literal.ts";
import { connect, emptyDatabase, engines, testStore } from "../../support/postgres.ts";

test("marks every place of a text, whatever its case, and takes signs literally", () => {
  const places = (content: string, text: string) =>
    literalMarks([content], text).flatMap((marks) => marks.map(({ start, end }) => content.slice(start, end)));
  expect(places("To be, or not to be", "to be")).toEqual(["To be", "to be"]);
  expect(places("a+b aab a.b", "a.b")).toEqual(["a.b"]);
  expect(places("so 🦭 it is", "🦭")).toEqual(["🦭"]);
});

test("marks no places far behind those that are matched", () => {
  const [marks = []] = literalMarks([`🦭${" ".repeat(200_000)}🦭`], "🦭");
  expect(marks.map(({ start }) => start)).toEqual([0]);
});

for (const engine of engines) {
  test(`a search without words on ${engine.name} finds words whatever their case, and no parts of words`, async () => {
    const connection = await emptyDatabase(engine);
    await using store = await testStore(engine, { connection });
    const contents = ["to be", "To Be", "so TO BE it is", "to beat", "into be", "TO BEE or to be"];
    await store.messages.storeBulk({ messages: contents.map((content) => ({ role: "user", content })) });
    for (const query of ["to be", "TO BE"]) {
      const { results, total } = await store.search.find({ query, limit: 10, offset: 0 });
      expect(results.map(({ content }) => content).toSorted()).toEqual(
        ["to be", "To Be", "so TO BE it is", "TO BEE or to be"].toSorted(),
      );
      expect(total).toBe(4);
    }
  });

  test(`a search without words on ${engine.name} scans the newest messages, and all of a session`, async () => {
    const connection = await emptyDatabase(engine);
    await using store = await testStore(engine, { connection });
    await using sql = connect(connection);
    const messages = ["-> first", "-> second", `${"x".repeat(20)} ->`, "-> fourth", "none"].map((content, index) => ({
      role: "user",
      content,
      created_at: new Date(Date.UTC(2024, 0, 1 + index)).toISOString(),
    }));
    await store.messages.storeBulk({ session_id: "signs", messages });
    const scan = async (narrowing: Narrowing, given: { messages: number; characters: number; counted?: number }) => {
      const bounds = { counted: 100, ...given };
      const filter = await filterOf(sql, narrowing, { required: [], isSectioned: false }, undefined);
      const found = await findLiterally(sql, "->", filter, { offset: 0, limit: 10 }, bounds);
      const { total, isLowerBound } = await countLiterally(sql, "->", filter, bounds);
      if (!isLowerBound) expect(found).toHaveLength(total);
      return [total, isLowerBound];
    };
    expect(await scan({}, { messages: 5, characters: 100 })).toEqual([4, false]);
    expect(await scan({}, { messages: 4, characters: 100 })).toEqual([3, true]);
    expect(await scan({}, { messages: 5, characters: 20 })).toEqual([3, false]);
    expect(await scan({ session_id: "signs" }, { messages: 1, characters: 100 })).toEqual([4, false]);
    expect(await scan({}, { messages: 5, characters: 100, counted: 4 })).toEqual([4, false]);
    expect(await scan({}, { messages: 5, characters: 100, counted: 3 })).toEqual([3, true]);
  });
}
