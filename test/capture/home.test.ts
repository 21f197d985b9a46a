import { expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { homeOf, placesAt } from "../../src/capture/home.ts";
import { sourcePlaces } from "../../src/capture/places.ts";
import { databaseKinds, sourceKinds } from "../../src/capture/source-kinds.ts";
import { temporaryHome } from "../support/home.ts";

test("a path with stars stands for everything that fits, each once, however many links lead there", () => {
  using home = temporaryHome();
  for (const name of ["a/chats", "b/chats", "c/other"]) mkdirSync(join(home.path, "tmp", name), { recursive: true });
  writeFileSync(join(home.path, "tmp/one.db"), "");
  symlinkSync(join(home.path, "tmp/a"), join(home.path, "tmp/link"));
  const at = (...patterns: string[]) =>
    placesAt(patterns.map((each) => join(home.path, each))).map((path) => path.slice(home.path.length + 1));
  expect(at("tmp/*/chats")).toEqual(["tmp/a/chats", "tmp/b/chats"]);
  expect(at("tmp/o*.db", "tmp/one.db", "tmp/*.db")).toEqual(["tmp/one.db"]);
  expect(at("tmp/one.db*.db", "missing", "missing/*/x")).toEqual([]);
});

test("each operating system has its own places", () => {
  const env = { HOME: "/h", APPDATA: "/h/AppData/Roaming" };
  expect(homeOf(env, "linux")).toMatchObject({ data: ["/h/.local/share"], config: ["/h/.config"] });
  expect(homeOf(env, "darwin").config).toContain("/h/Library/Application Support");
  expect(homeOf(env, "win32").editors).toContain("/h/AppData/Roaming/Code/User");
  expect(homeOf({ ...env, XDG_DATA_HOME: "/d", XDG_CONFIG_HOME: "/c" }, "linux")).toMatchObject({
    data: ["/d"],
    config: ["/c"],
  });
});

test("every source says where it is, but for what people keep where they like", () => {
  const without = [...sourceKinds, ...databaseKinds].filter((kind) => kind.where === undefined);
  expect(without.map(({ name }) => name)).toEqual([
    "an export of Dewey",
    "Codex's output with exec --json",
    "Gemini CLI's saved chats",
    "Claude.ai's data export",
    "ChatGPT's data export",
  ]);
});

test("sources are found by their default and by their own variables, and each file once", () => {
  using home = temporaryHome();
  const folders = [
    ".claude/projects",
    ".config/claude/projects",
    "mine/projects",
    "codex/sessions",
    "codex/archived_sessions",
  ];
  for (const folder of folders) mkdirSync(join(home.path, folder), { recursive: true });
  writeFileSync(join(home.path, ".claude/history.jsonl"), "");
  const env = {
    HOME: home.path,
    CLAUDE_CONFIG_DIR: `${join(home.path, "mine")},${join(home.path, ".claude")}`,
    CODEX_HOME: join(home.path, "codex"),
  };
  const found = sourcePlaces(env).flatMap((place) => place.found);
  expect(found).toEqual(
    [
      "mine/projects",
      ".claude/projects",
      ".config/claude/projects",
      "codex/sessions",
      "codex/archived_sessions",
      ".claude/history.jsonl",
    ].map((each) => join(home.path, each)),
  );
});
