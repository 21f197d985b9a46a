import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { SetAside } from "../../../src/proxy/delivery/set-aside.ts";
import { spoolFolder } from "../../support/spool-folder.ts";

test("records are set aside as JSON lines in a file that only its owner may read", () => {
  using folder = spoolFolder();
  mkdirSync(folder.path);
  const setAside = new SetAside(folder.path);
  expect([setAside.file, setAside.isThere]).toEqual([`${folder.path}/set-aside.jsonl`, false]);
  setAside.add("a_tool", { text: "two\nlines" }, "the reason");
  setAside.add("b_tool", {}, "another");
  const [first, second, ...rest] = readFileSync(setAside.file, "utf8").split("\n");
  expect(JSON.parse(first ?? "")).toEqual({
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    reason: "the reason",
    tool: "a_tool",
    arguments: { text: "two\nlines" },
  });
  expect([JSON.parse(second ?? "").tool, rest]).toEqual(["b_tool", [""]]);
  expect([setAside.isThere, statSync(setAside.file).mode & 0o777]).toEqual([true, 0o600]);
  // A person who has dealt with the records removes the file.
  rmSync(setAside.file);
  expect(setAside.isThere).toBe(false);
});

test("a record that is refused again, as after a failover, is set aside once", () => {
  using folder = spoolFolder();
  mkdirSync(folder.path);
  const setAside = new SetAside(folder.path);
  const added = ["one", "two", "one"].map((text) => setAside.add("a_tool", { text }, "the reason"));
  expect(added).toEqual([true, true, false]);
  const lines = readFileSync(setAside.file, "utf8").trim().split("\n");
  expect(lines.map((line) => (JSON.parse(line) as { arguments: { text: string } }).arguments.text)).toEqual([
    "one",
    "two",
  ]);
});

test("a record that cannot be set aside throws", () => {
  using folder = spoolFolder();
  expect(() => new SetAside(folder.path).add("a_tool", {}, "the reason")).toThrow("ENOENT");
});
