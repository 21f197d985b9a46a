import { expect, test } from "bun:test";
import { Cache } from "../src/cache.ts";

test("a cache forgets what was not used for the longest time", () => {
  const cache = new Cache<number>(2);
  cache.set("one", 1);
  cache.set("two", 2);
  expect(cache.get("one")).toBe(1);
  cache.set("three", 3);
  expect([cache.get("one"), cache.get("two"), cache.get("three")]).toEqual([1, undefined, 3]);
});

test("a cache keeps the last value of a key", () => {
  const cache = new Cache<number>(1);
  cache.set("one", 1);
  cache.set("one", 2);
  expect(cache.get("one")).toBe(2);
});
