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

test("a pipe that is named is told and not waited for, and so is a name that is not in UTF-8", async () => {
  using home = temporaryHome();
  const [pipe, folder] = [join(home.path, "pipe.jsonl"), join(home.path, "in")];
  Bun.spawnSync(["mkfifo", pipe]);
  expect((await filesAt(pipe)).unread).toEqual([{ path: pipe, reason: "is no file; save what it holds as one" }]);
  mkdirSync(folder);
  const name = Buffer.concat([Buffer.from(`${folder}/caf`), Buffer.from([0xe9]), Buffer.from(".jsonl")]);
  writeFileSync(name, "x");
  expect((await filesAt(folder)).unread).toEqual([
    { path: join(folder, "caf\uFFFD.jsonl"), reason: "has a name that is not in UTF-8; rename it" },
  ]);
});
