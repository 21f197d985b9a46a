import { describe, expect, test } from "bun:test";
import { openStore } from "../../src/store/store.ts";
import { failure } from "../support/failure.ts";
import { emptyDatabase, engines, storeOptions, testStore } from "../support/postgres.ts";

for (const engine of engines) {
  describe(`startup contexts on ${engine.name}`, () => {
    test("are created, changed, and found by name or as the active one", async () => {
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

    test("set active concurrently through two servers end with one active, without errors", async () => {
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

    test("are deleted, but the active one only with force", async () => {
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

    test("keep a history of changes with authors and earlier contents, even after deletion", async () => {
      await using store = await testStore(engine);
      const ann = { session: "s1", client_name: "ann's client", client_version: "1" };
      const bob = { session: "s2", client_name: "bob's client", client_version: "2" };
      await store.contexts.set({ name: "a", content: "one", set_active: true }, ann);
      await store.contexts.set({ name: "a", content: "two", set_active: false }, bob);
      await store.contexts.set({ name: "a", content: "two", set_active: true }, bob);
      await store.contexts.set({ name: "b", content: "other", set_active: true }, ann);
      await store.contexts.set({ name: "a", content: "two", set_active: true });
      await store.contexts.tie({ folder: "/work/", name: "a" }, ann);
      await store.contexts.tie({ folder: "/work", name: "b" }, bob);
      await store.contexts.delete({ name: "a", force: true }, bob);
      const { versions, total } = await store.contexts.history({ name: "a", limit: 10, offset: 0 });
      expect(total).toBe(7);
      expect(
        versions.map(({ version, change, folder, client_name }) => [version, change, folder, client_name]),
      ).toEqual([
        [7, "deleted", null, "bob's client"],
        [6, "untied", "/work", "bob's client"],
        [5, "tied", "/work", "ann's client"],
        [4, "activated", null, null],
        [3, "deactivated", null, "ann's client"],
        [2, "set", null, "bob's client"],
        [1, "set", null, "ann's client"],
      ]);
      expect(versions[6]).toMatchObject({ ...ann, is_active: true, content_length: 3 });
      expect(versions[0]).not.toHaveProperty("content");
      expect(await store.contexts.history({ name: "a", version: 1, limit: 10, offset: 0 })).toMatchObject({
        versions: [{ version: 1, content: "one" }],
        total: 1,
      });
      expect(await store.contexts.history({ name: "a", limit: 2, offset: 5 })).toMatchObject({
        versions: [{ version: 2 }, { version: 1 }],
        total: 7,
      });
      expect(await failure(store.contexts.history({ name: "c", limit: 1, offset: 0 }))).toMatchObject({
        code: "not_found",
        field: "name",
      });
      expect(await failure(store.contexts.history({ name: "a", version: 9, limit: 1, offset: 0 }))).toMatchObject({
        code: "not_found",
        field: "version",
      });
      // The name may be reused; its history continues.
      await store.contexts.set({ name: "a", content: "one", set_active: false });
      expect(await store.contexts.history({ name: "a", limit: 1, offset: 0 })).toMatchObject({
        versions: [{ version: 8, change: "set" }],
      });
    });

    test("belong to the nearest folder; elsewhere the active one applies", async () => {
      await using store = await testStore(engine);
      const at = async (folder: string) => (await store.contexts.get({ folder }))?.name ?? null;
      await store.contexts.set({ name: "inner", content: "x", set_active: false });
      await store.contexts.set({ name: "outer", content: "x", set_active: false });
      expect(await at("/home/me")).toBeNull();
      await store.contexts.set({ name: "active", content: "x", set_active: true });
      await store.contexts.tie({ folder: "/home/me", name: "outer" });
      await store.contexts.tie({ folder: "/home/me/project", name: "inner" });
      expect([await at("/home/me/project/src"), await at("/home/me/project/"), await at("/home/me/projector")]).toEqual(
        ["inner", "inner", "outer"],
      );
      expect([await at("/home"), await at("/"), await at("")]).toEqual(["active", "active", "active"]);
      expect(await store.contexts.list({ include_content: false })).toMatchObject([
        { name: "active" },
        { name: "inner", folders: ["/home/me/project"] },
        { name: "outer", folders: ["/home/me"] },
      ]);
      await store.contexts.tie({ folder: "/home/me/project" });
      expect(await at("/home/me/project")).toBe("outer");
      await store.contexts.delete({ name: "outer", force: false });
      expect(await at("/home/me/project")).toBe("active");
      expect(await failure(store.contexts.tie({ folder: "/", name: "none" }))).toMatchObject({ code: "not_found" });
    });

    test("record no change when tied again to the same folder", async () => {
      await using store = await testStore(engine);
      await store.contexts.set({ name: "a", content: "x", set_active: false });
      const tied = await store.contexts.tie({ folder: "/f/", name: "a" });
      expect(tied).toEqual({ folder: "/f", name: "a" });
      expect(await store.contexts.tie({ folder: "/f", name: "a" })).toEqual(tied);
      await store.contexts.tie({ folder: "/nobody's" });
      expect(await store.contexts.history({ name: "a", limit: 10, offset: 0 })).toMatchObject({
        versions: [{ change: "tied" }, { change: "set" }],
      });
    });

    test("are listed with at most twenty of their folders", async () => {
      await using store = await testStore(engine);
      await store.contexts.set({ name: "a", content: "x", set_active: false });
      const folders = Array.from({ length: 21 }, (_, index) => `/f${String(index).padStart(2, "0")}`);
      for (const folder of folders) await store.contexts.tie({ folder, name: "a" });
      expect(await store.contexts.list({ include_content: false })).toMatchObject([{ folders: folders.slice(0, 20) }]);
    });

    test("too large for a reply are refused, naming the field", async () => {
      await using store = await testStore(engine);
      const set = (content: string) => store.contexts.set({ name: "n", content, set_active: false });
      for (const content of ["x".repeat(59_501), "é".repeat(29_751)])
        expect(await failure(set(content))).toMatchObject({ code: "invalid", field: "content" });
      await set("é".repeat(29_750));
      expect(Buffer.byteLength(JSON.stringify(await store.contexts.get({ name: "n" })))).toBeLessThan(60_000);
    });

    test("are cut when a list cannot hold them all", async () => {
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
