import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { allCommands, commandNamed } from "../../src/cli/commands.ts";

// A command loads its static imports before it runs, in the chunks that the bundler makes for the binary.

const root = join(import.meta.dir, "../..");

interface Chunk {
  inputs: Record<string, unknown>;
  imports: { path: string; kind: string }[];
}

const { metafile } = await Bun.build({
  entrypoints: [join(root, "src/main.ts")],
  root,
  target: "bun",
  format: "esm",
  splitting: true,
  metafile: true,
});
const chunks: Record<string, Chunk> = metafile?.outputs ?? {};

/** The paths of the files that are loaded together with one. */
function loadedWith(file: string): string[] {
  const first = Object.keys(chunks).find((path) => file in (chunks[path]?.inputs ?? {}));
  if (first === undefined) throw new Error(`${file} is in no chunk`);
  const found = new Set([first]);
  for (const path of found) {
    for (const { path: next, kind } of chunks[path]?.imports ?? []) if (kind === "import-statement") found.add(next);
  }
  return [...found].flatMap((path) => Object.keys(chunks[path]?.inputs ?? {}));
}

const among = (files: string[], pattern: RegExp) => files.filter((file) => pattern.test(file));

const PACKAGES = /node_modules\//;
const SERVER = /node_modules\/@modelcontextprotocol\/|src\/(mcp|tools)\/|src\/store\/store\.ts/;

describe("a command loads before it runs", () => {
  test("next to nothing to print the version", () => {
    expect(loadedWith("src/main.ts").toSorted()).toEqual([
      "package.json",
      "src/cli/commands.ts",
      "src/errors.ts",
      "src/main.ts",
    ]);
  });

  test("no package and nothing that delivers when it is a hook, for which a client waits", () => {
    const files = [...loadedWith("src/cli/commands/hook.ts"), ...loadedWith("src/cli/command.ts")];
    expect(files).toContain("src/settings.ts");
    expect(among(files, PACKAGES)).toEqual([]);
    // The settings check the syntax of added patterns, which is three small files of redaction.
    expect(among(files, /src\/(tool-client|capture\/deliverer|store\/(?!redact\/).*)\.ts/)).toEqual([]);
  });

  for (const name of ["proxy", "serve", "up"]) {
    test(`none of the server's parts when it is ${name}`, () => {
      expect(among(loadedWith(`src/cli/commands/${name}.ts`), SERVER)).toEqual([]);
    });
  }

  test("its packages, which shows that these checks can fail", () => {
    expect(among(loadedWith("src/mcp/listener.ts"), SERVER)).not.toEqual([]);
    expect(among(loadedWith("src/mcp/listener.ts"), PACKAGES)).not.toEqual([]);
  });
});

describe("the table of commands", () => {
  test("has each command under its own name", async () => {
    for (const command of await allCommands()) expect((await commandNamed(command.name))?.name).toBe(command.name);
  });

  test("has nothing under other names", async () => {
    for (const name of ["nonsense", "", "toString", "__proto__"]) expect(await commandNamed(name)).toBeUndefined();
  });
});
