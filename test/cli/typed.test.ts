import { expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { typedAs, typedName } from "../../src/cli/typed.ts";
import { temporaryHome } from "../support/home.ts";

test("a program that is not on the PATH is called by its path, from where one is", () => {
  const at = (folder: string, program = "/home/ana/clone/dist/dewey") => typedName({ program, path: "/none", folder });
  expect(at("/home/ana/clone")).toBe("./dist/dewey");
  expect(at("/home/ana/clone/dist")).toBe("./dewey");
  expect(at("/home/ben")).toBe("/home/ana/clone/dist/dewey");
  expect(at("/home/ana", "/home/ana/my clone/dewey")).toBe("'./my clone/dewey'");
});

test("a program that is on the PATH, or runs from source, is called dewey", () => {
  using home = temporaryHome();
  const program = join(home.path, "dewey");
  writeFileSync(program, "#!/bin/sh\n");
  chmodSync(program, 0o755);
  expect(typedName({ program, path: home.path, folder: home.path })).toBe("dewey");
  expect(typedName({ program: undefined, path: "/none", folder: "/" })).toBe("dewey");
});

test("commands in a text are told as they are typed, and nothing else", () => {
  const text =
    "start one with: dewey up; see: dewey help up, /usr/bin/dewey up, folder:dewey list, dewey is, my-dewey up";
  expect(typedAs("./dist/dewey", text)).toBe(
    "start one with: ./dist/dewey up; see: ./dist/dewey help up, /usr/bin/dewey up, folder:dewey list, dewey is, my-dewey up",
  );
  expect(typedAs("dewey", text)).toBe(text);
  expect(typedAs("'$&'", "dewey list")).toBe("'$&' list");
});
