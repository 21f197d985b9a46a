import { describe, expect, test } from "bun:test";
import { openStore } from "../../src/store/store.ts";
import { failure } from "../support/failure.ts";
import { emptyDatabase, engines, storeOptions, testStore } from "../support/postgres.ts";

for (const engine of engines) {
  describe(`startup contexts on ${engine.name}`, () => {
    test("are made, changed, found by name and as the active one", async () => {
      await using store = await testStore(engine);
      expect(await store.contexts.get({})).toBeNull();
      const made = await store.contexts.set({ name: "a", content: "one", set_active: true });
      expect(made).toMatchObject({ name: "a", is_active: true });
      const changed = await store.contexts.set({ name: "a", content: "two", set_active: false });
      expect(changed).toEqual(made);
      expect(await store.contexts.get({})).toMatchObject({ name: "a", content: "two" });
      await store.contexts.set({ name: "b", content: "three", set_active: false });
      expect(await store.contexts.get({ name: "b" })).toMatchObject({ content: "three", is_active: false });
      expect(await store.contexts.get({ name: "c" })).toBeNull();
      expect(await store.contexts.list({ include_content: false })).toMatchObject([{ name: "a" }, { name: "b" }]);
      expect((await store.contexts.list({ include_content: true })).map((each) => each.content)).toEqual([
        "two",
        "three",
      ]);
    });

    test("set active by many callers at once over two servers leave one active, and no error", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      const second = await openStore(storeOptions(connection));
      await Promise.all(
        Array.from({ length: 40 }, (_, index) =>
          (index % 2 === 0 ? store : second).contexts.set({ name: `n${index % 5}`, content: "x", set_active: true }),
        ),
      );
      await second.close();
      const all = await store.contexts.list({ include_content: false });
      expect(all.filter((each) => each.is_active)).toHaveLength(1);
    });

    test("are deleted, the active one only with force", async () => {
      await using store = await testStore(engine);
      await store.contexts.set({ name: "active", content: "x", set_active: true });
      await store.contexts.set({ name: "other", content: "x", set_active: false });
      expect(await store.contexts.delete({ name: "other", force: false })).toEqual({ deleted: true });
      expect(await failure(store.contexts.delete({ name: "active", force: false }))).toMatchObject({
        code: "conflict",
      });
      expect(await store.contexts.delete({ name: "active", force: true })).toEqual({ deleted: true });
      expect(await failure(store.contexts.delete({ name: "active", force: true }))).toMatchObject({
        code: "not_found",
        field: "name",
      });
    });

    test("that no reply could hold are refused by their field", async () => {
      await using store = await testStore(engine);
      const large = { name: "n", content: "x".repeat(60_001), set_active: false };
      expect(await failure(store.contexts.set(large))).toMatchObject({ code: "invalid", field: "content" });
    });

    test("are cut in a list that cannot hold them all", async () => {
      await using store = await testStore(engine);
      await store.contexts.set({ name: "small", content: "whole", set_active: false });
      for (const name of ["x", "y", "z"]) {
        await store.contexts.set({ name, content: name.repeat(50_000), set_active: false });
      }
      const [small, x] = await store.contexts.list({ include_content: true });
      expect(small?.content).toBe("whole");
      expect(x).toMatchObject({ content_length: 50_000, content: expect.stringMatching(/^x{15000,20000}$/) });
    });
  });
}
