import { expect, test } from "bun:test";
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { filesAt } from "../../src/capture/files.ts";
import { stagesOf } from "../../src/capture/lanes.ts";
import { temporaryHome } from "../support/home.ts";

const [A, B, C] = ["a", "b", "c"].map((letter) => `${letter.repeat(8)}-0000-4000-8000-000000000000`) as [
  string,
  string,
  string,
];

/** The stages in which files are read, each with its groups of names. */
async function stages(files: Record<string, string>): Promise<string[][][]> {
  using home = temporaryHome();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(home.path, name)), { recursive: true });
    writeFileSync(join(home.path, name), text);
  }
  const { files: found } = await filesAt(home.path);
  const made = await stagesOf(found.filter(({ path }) => statSync(path).isFile()));
  return made.map((groups) => groups.map((group) => group.map(({ path }) => relative(home.path, path))));
}

test("sessions that have nothing in common may be read at once", async () => {
  expect(await stages({ "1.jsonl": `{"id":"${A}"}`, "2.jsonl": `{"id":"${B}"}`, "3.jsonl": "{}" })).toEqual([
    [["1.jsonl"], ["2.jsonl"], ["3.jsonl"]],
  ]);
});

test("sessions that name a common id, or one that names both, are read one after the other", async () => {
  expect(
    await stages({
      "1.jsonl": `{"id":"${A}"}`,
      "2.jsonl": `{"id":"${B}"}`,
      "3.jsonl": `{"id":"${C}"}`,
      "4.jsonl": `{"forkedFrom":"${A}"}\n{"id":"${C}"}`,
      [`${B}/subagents/agent-1.jsonl`]: "{}",
    }),
  ).toEqual([
    [
      ["1.jsonl", "3.jsonl", "4.jsonl"],
      ["2.jsonl", `${B}/subagents/agent-1.jsonl`],
    ],
  ]);
});

test("an export and a database are read alone in their turn, and histories of prompts and titles behind everything", async () => {
  expect(
    await stages({
      "a.jsonl": "{}",
      "b.json": "{}",
      "c.jsonl": "{}",
      "d.db": "",
      "history.jsonl": "{}",
      "logs.json": "{}",
      "session_index.jsonl": "{}",
      "z.jsonl": "{}",
    }),
  ).toEqual([
    [["a.jsonl"]],
    [["b.json"]],
    [["c.jsonl"]],
    [["d.db"]],
    [["z.jsonl"]],
    [["history.jsonl"]],
    [["logs.json"]],
    [["session_index.jsonl"]],
  ]);
});
