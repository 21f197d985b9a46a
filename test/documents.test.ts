import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { allCommands } from "../src/cli/commands.ts";
import { flagsOf } from "../src/cli/command.ts";
import { unknownVariables } from "../src/config.ts";
import { tools } from "../src/tools/tools.ts";
import { anchors, codeSpans, documents, linkTargets, shownCommands } from "./support/documents.ts";

// What the documents name exists: files, headings, commands, flags, variables, tools, scripts.

const root = join(import.meta.dir, "..");
const all = documents();
const texts = new Map(all.map(({ path, text }) => [path, text]));
const commands = new Map((await allCommands()).map((command) => [command.name, command]));

/** For users, who are told nothing of the inside; elsewhere commands of other programs and former names may be named. */
const forUsers = all.filter(
  ({ path }) => path === "README.md" || (path.startsWith("docs/") && path !== "docs/decisions.md"),
);
/** For developers. */
const forDevelopers = all.filter(({ path }) =>
  ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/decisions.md"].includes(path),
);
/** Pages of the repository on GitHub, which no file stands for. */
const PAGES_OF_GITHUB = new Set(["../../releases/latest"]);

/** The links of a document that lead nowhere, given the other documents. */
function brokenLinks(path: string, text: string): string[] {
  return linkTargets(text).filter((target) => {
    if (/^(https?|mailto):/.test(target) || PAGES_OF_GITHUB.has(target)) return false;
    const [file = "", anchor] = target.split("#");
    const place = file === "" ? path : normalize(join(dirname(path), file));
    if (!existsSync(join(root, place))) return true;
    return anchor !== undefined && !anchors(texts.get(place) ?? "").includes(anchor);
  });
}

const sourceText = ["src", "sql"]
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((path) => join(root, folder, path)),
  )
  .filter((path) => /\.(ts|sql)$/.test(path))
  .map((path) => readFileSync(path, "utf8"))
  .join("\n");

/** Whether the source has a metric or a table with the name, or with that beginning where it ends in an underscore. */
const isInSource = (name: string): boolean =>
  new RegExp(`\\b${name}${name.endsWith("_") ? "" : "\\b"}`).test(sourceText);

/** The command lines of Dewey in a document. */
const commandLines = (text: string) =>
  [...codeSpans(text), ...shownCommands(text)]
    .filter((line) => /^(?:[A-Z_]+=\S+ )*dewey( |$)/.test(line))
    .map((line) => line.slice(line.indexOf("dewey")));

/** What is wrong with a command line; undefined when nothing is. */
function fault(line: string): string | undefined {
  const [, name = "", ...words] = line.split(/ [|>;&] | -- /)[0]?.split(" ") ?? [];
  // A placeholder, such as COMMAND or …, names nothing.
  if (name === "" || name.startsWith("--") || name === "help" || /^[A-Z…]/.test(name)) return undefined;
  const command = commands.get(name);
  if (command === undefined) return `${line}: there is no command ${name}`;
  const known = new Set(["json", "help", ...Object.keys(flagsOf(command))]);
  const flags = words.filter((word) => /^\[?--\w/.test(word)).map((word) => word.replace(/^\[?--([\w-]+).*$/, "$1"));
  // `--stdio` and the like belong to commands that take other forms.
  const unknown = flags.filter((flag) => !known.has(flag));
  return unknown.length > 0 ? `${line}: there is no flag --${unknown.join(", --")}` : undefined;
}

describe("every document", () => {
  test.each(all.map(({ path }) => path))("%s has links that lead somewhere", (path) => {
    expect(brokenLinks(path, texts.get(path) ?? "")).toEqual([]);
  });

  test("would be found out with a link that leads nowhere", () => {
    const planted = "[a](docs/nowhere.md) [b](ARCHITECTURE.md#nowhere) [c](#here)\n\n# Here\n";
    expect(brokenLinks("PLANTED.md", planted)).toEqual(["docs/nowhere.md", "ARCHITECTURE.md#nowhere", "#here"]);
  });

  test.each(all.map(({ path }) => path))("%s names scripts that there are", (path) => {
    const named = (texts.get(path) ?? "").match(/(?<=\bbun run )[a-z][\w:-]*/g) ?? [];
    expect(named.filter((name) => !(name in packageJson.scripts))).toEqual([]);
  });
});

describe("what users read", () => {
  for (const { path, text } of forUsers) {
    test(`${path} names commands and flags that there are`, () => {
      expect(commandLines(text).map(fault).filter(Boolean)).toEqual([]);
      const flags = codeSpans(text).flatMap((span) => /^--([a-z][\w-]*)/.exec(span)?.[1] ?? []);
      // Flags of other programs that the documents speak of.
      const others = ["password", "cli"];
      const known = new Set([...others, ...[...commands.values()].flatMap((each) => Object.keys(flagsOf(each)))]);
      expect(flags.filter((flag) => !known.has(flag))).toEqual([]);
    });

    test(`${path} names settings, tools, metrics and tables that there are`, () => {
      const variables = text.match(/\bDEWEY_[A-Z_]*[A-Z]\b/g) ?? [];
      expect(unknownVariables(Object.fromEntries(variables.map((name) => [name, "x"])))).toEqual([]);
      const named = text.match(/\bdewey_[a-z_]+\b/g) ?? [];
      expect(named.filter((name) => !tools.has(name) && !isInSource(name))).toEqual([]);
    });
  }

  test("would be found out with a command or flag that there is not", () => {
    expect(commandLines("`dewey find x` and\n\n```sh\ndewey search --sinse 3d\n```\n").map(fault)).toEqual([
      "dewey find x: there is no command find",
      "dewey search --sinse 3d: there is no flag --sinse",
    ]);
  });

  test("names every command, and every tool that clients are offered", () => {
    const text = forUsers.map((each) => each.text).join("\n");
    // `dewey hook` is for clients only.
    expect([...commands.keys()].filter((name) => name !== "hook" && !text.includes(`dewey ${name}`))).toEqual([]);
    const offered = [...tools.values()].filter((tool) => tool.ownOnly !== true).map(({ name }) => name);
    expect(offered.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });

  test("says nothing of the prototype before its page", () => {
    const told = forUsers.filter(({ path }) => path !== "docs/prototype.md");
    expect(told.filter(({ text }) => /\b(irina|winni|fiedler)\b/i.test(text)).map(({ path }) => path)).toEqual([]);
  });

  test("begins with a README of at most 150 lines", () => {
    expect((texts.get("README.md") ?? "").split("\n").length).toBeLessThanOrEqual(150);
  });
});

describe("what developers read", () => {
  const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" });

  for (const { path, text } of forDevelopers) {
    test(`${path} names files that there are`, () => {
      const paths = codeSpans(text).filter((span) => /^(src|test|sql|docs|deploy|\.github|\.ci)\/[\w./-]+$/.test(span));
      expect(paths.filter((each) => !existsSync(join(root, each)))).toEqual([]);
      const names = codeSpans(text).filter((span) => /^[\w-]+\.tsx?$/.test(span));
      const known = (name: string) => sources.some((each) => each === name || each.endsWith(`/${name}`));
      expect(names.filter((name) => !known(name) && !existsSync(join(root, "test/bench", name)))).toEqual([]);
    });
  }

  test("has a line in ARCHITECTURE for each room", () => {
    const rooms = readdirSync(join(root, "src"), { withFileTypes: true }).filter((each) => each.isDirectory());
    const architecture = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");
    expect(rooms.map(({ name }) => name).filter((name) => !architecture.includes(`\nsrc/${name}/`))).toEqual([]);
  });
});
