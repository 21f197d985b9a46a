import { expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { filesAt } from "../../src/capture/files.ts";
import { temporaryHome } from "../support/home.ts";

test("files behind links are found, each folder once, and what cannot be looked at is named", async () => {
  using home = temporaryHome();
  const [inside, outside] = [join(home.path, "in"), join(home.path, "out")];
  for (const folder of [inside, join(outside, "deep")]) mkdirSync(folder, { recursive: true });
  for (const path of [join(inside, "a.jsonl"), join(outside, "deep/b.jsonl.zst"), join(inside, "notes.txt")])
    writeFileSync(path, "x");
  symlinkSync(outside, join(inside, "linked"));
  symlinkSync(inside, join(outside, "back"));
  symlinkSync("nowhere", join(inside, "broken.jsonl"));
  symlinkSync("loop.jsonl", join(inside, "loop.jsonl"));
  symlinkSync("nowhere", join(inside, "unrelated.txt"));
  const { files, unread, others } = await filesAt(inside);
  expect(files.map((file) => file.path.slice(inside.length + 1))).toEqual(["a.jsonl", "linked/deep/b.jsonl.zst"]);
  expect(unread.map(({ path, reason }) => [path.slice(inside.length + 1), reason])).toEqual([
    ["broken.jsonl", "is a broken link"],
    ["loop.jsonl", "is a broken link"],
  ]);
  expect([...others]).toEqual([[".txt", 1]]);
});
