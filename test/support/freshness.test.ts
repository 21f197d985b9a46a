import { expect, test } from "bun:test";
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { staleness } from "./freshness.ts";
import { temporaryHome } from "./home.ts";

test("a binary is stale when it is missing or older than one of its sources", () => {
  using folder = temporaryHome();
  const binary = join(folder.path, "dewey");
  const sources = [join(folder.path, "src"), join(folder.path, "sql")];
  const deep = join(folder.path, "src/deep/file.ts");
  mkdirSync(join(folder.path, "src/deep"), { recursive: true });
  mkdirSync(join(folder.path, "sql"));
  writeFileSync(deep, "");
  const name = relative("", binary);
  expect(staleness(binary, sources)).toBe(`${name} is missing; build it: bun run build`);
  writeFileSync(binary, "");
  utimesSync(deep, 1000, 1000);
  utimesSync(binary, 2000, 2000);
  expect(staleness(binary, sources)).toBeUndefined();
  utimesSync(deep, 3000, 3000);
  expect(staleness(binary, sources)).toBe(`${name} is older than ${relative("", deep)}; build it again: bun run build`);
});
