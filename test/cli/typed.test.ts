import { expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { typedAs, typedName } from "../../src/cli/typed.ts";
import { binary } from "../support/binary.ts";
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

test("errors, help and doctor of a clone's program name it by its path", async () => {
  using home = temporaryHome();
  const told = async (...args: string[]) => {
    const env = { PATH: "/usr/bin:/bin", HOME: home.path, DEWEY_URL: "ws://127.0.0.1:1" };
    const cwd = join(import.meta.dir, "../..");
    const child = Bun.spawn([binary, ...args], { env, cwd, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const [out, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    return out + errors;
  };
  expect(await told("list", "--nonsense")).toContain("see: ./dist/dewey help list");
  expect(await told("help", "list")).toContain("\n  ./dist/dewey list");
  expect(await told("doctor")).toContain("connect one with: ./dist/dewey connect claude-code");
});
