import { describe, expect, test } from "bun:test";
import { appendFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SourceReader } from "../../src/capture/captured.ts";
import { FollowedFile } from "../../src/capture/follow.ts";
import { temporaryHome } from "../support/home.ts";

/** A reader whose result shows everything that it was given before. */
function counting(): SourceReader {
  let seen = 0;
  return {
    take: (row) => {
      seen += 1;
      return [{ kind: "broken", reason: `${seen}: ${row}` }];
    },
    end: () => [],
  };
}

function following(path: string) {
  const file = new FollowedFile(path, () => Promise.resolve(counting()));
  return {
    file,
    more: async () => {
      const found = [];
      for await (const { captured } of file.more())
        for (const each of captured) if (each.kind === "broken") found.push(each.reason);
      return found;
    },
  };
}

describe("a file that is followed", () => {
  test("goes on behind a row that its reader fails at", async () => {
    using home = temporaryHome();
    const path = join(home.path, "a.jsonl");
    const reader = counting();
    const failing: SourceReader = {
      ...reader,
      take: (row) => {
        if (row === "odd") throw new TypeError("no such field");
        return reader.take(row);
      },
    };
    const file = new FollowedFile(path, () => Promise.resolve(failing));
    writeFileSync(path, "one\nodd\ntwo\n");
    const found = [];
    for await (const { captured } of file.more()) found.push(...captured);
    const reasons = found.map((each) => (each.kind === "broken" ? each.reason : each.kind));
    expect(reasons).toEqual(["1: one", "no such field", "2: two"]);
  });

  test("is read as it grows, up to its last whole line", async () => {
    using home = temporaryHome();
    const path = join(home.path, "a.jsonl");
    const { more } = following(path);
    expect(await more()).toEqual([]);
    writeFileSync(path, "one\ntw");
    expect(await more()).toEqual(["1: one"]);
    appendFileSync(path, "o\nthree\n");
    expect(await more()).toEqual(["2: two", "3: three"]);
    expect(await more()).toEqual([]);
  });

  test("goes on after a restart where it was, with a reader that has seen what was before", async () => {
    using home = temporaryHome();
    const path = join(home.path, "a.jsonl");
    writeFileSync(path, "one\ntwo\n");
    const before = following(path);
    await before.more();
    appendFileSync(path, "three\n");
    const after = following(path);
    await after.file.resume(before.file.reached);
    expect(await after.more()).toEqual(["3: three"]);
  });

  test.each([
    ["shorter", "new\n"],
    ["longer", "another first line, longer than before\nand a second one\n"],
  ])("is read from its beginning when it was rewritten, %s", async (_, text) => {
    using home = temporaryHome();
    const path = join(home.path, "a.jsonl");
    writeFileSync(path, "one\ntwo\n");
    const live = following(path);
    await live.more();
    writeFileSync(path, text);
    const expected = text.trim().split("\n");
    expect(await live.more()).toEqual(expected.map((line, index) => `${index + 1}: ${line}`));
    const later = following(path);
    await later.file.resume({ end: 8, number: 2, mark: "of another text" });
    expect(await later.more()).toHaveLength(expected.length);
  });

  test("is read again after it was gone for a while", async () => {
    using home = temporaryHome();
    const path = join(home.path, "a.jsonl");
    writeFileSync(path, "one\n");
    const { more } = following(path);
    await more();
    rmSync(path);
    expect(await more()).toEqual([]);
    writeFileSync(path, "two\n");
    expect(await more()).toEqual(["1: two"]);
  });
});
