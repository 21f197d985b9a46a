import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Replacement, replaceFile, workTreeOf, writtenPlace } from "../src/safe-file.ts";

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "dewey-safe-")));
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = (...names: string[]) => join(folder, ...names);
const text = (...names: string[]) => readFileSync(at(...names), "utf8");

describe("a file that is replaced", () => {
  test("has the new text and mode, and nothing else lies beside it", () => {
    replaceFile(at("new.json"), "one", 0o600);
    expect([text("new.json"), statSync(at("new.json")).mode & 0o777]).toEqual(["one", 0o600]);
    replaceFile(at("new.json"), "two", 0o644);
    expect([text("new.json"), statSync(at("new.json")).mode & 0o777]).toEqual(["two", 0o644]);
    expect(readdirSync(folder)).toEqual(["new.json"]);
  });

  test("has its mode under any umask", () => {
    const umask = process.umask(0o077);
    try {
      replaceFile(at("shared.json"), "", 0o644);
    } finally {
      process.umask(umask);
    }
    expect(statSync(at("shared.json")).mode & 0o777).toBe(0o644);
  });

  test("is never written through a link of its name: the link is replaced", () => {
    writeFileSync(at("victim"), "kept");
    symlinkSync(at("victim"), at("target"));
    replaceFile(at("target"), "ours", 0o600);
    expect([text("victim"), text("target"), lstatSync(at("target")).isSymbolicLink()]).toEqual(["kept", "ours", false]);
  });

  test("is never written through a link of the name that earlier versions used beside it", () => {
    writeFileSync(at("victim"), "kept");
    symlinkSync(at("victim"), at("target.part"));
    replaceFile(at("target"), "ours", 0o600);
    expect([text("victim"), text("target")]).toEqual(["kept", "ours"]);
  });

  test("keeps its earlier content until it is committed, and after it is discarded", () => {
    writeFileSync(at("target"), "before");
    const replacement = new Replacement(at("target"), 0o600);
    replacement.write(Buffer.from("half"));
    expect(text("target")).toBe("before");
    replacement.discard();
    expect([text("target"), readdirSync(folder)]).toEqual(["before", ["target"]]);
    expect(() => replacement.commit()).toThrow("committed or discarded");
  });

  test("in a folder that does not exist is an error that names it", () => {
    expect(() => replaceFile(at("none", "x"), "", 0o600)).toThrow(
      `${at("none", "x")} cannot be written: there is no such file or folder (ENOENT)`,
    );
    mkdirSync(at("folder"));
    expect(() => replaceFile(at("folder"), "", 0o600)).toThrow(`${at("folder")} cannot be written: `);
    expect(readdirSync(folder)).toEqual(["folder"]);
  });

  test("may have a name as long as a file system allows", () => {
    replaceFile(at("n".repeat(255)), "x", 0o600);
    expect(text("n".repeat(255))).toBe("x");
  });
});

describe("the place that is written", () => {
  test("is the target of the user's own link outside a project, as of a dotfiles repository", () => {
    mkdirSync(at("dotfiles"));
    writeFileSync(at("dotfiles/claude.json"), "{}");
    symlinkSync("dotfiles/claude.json", at(".claude.json"));
    expect(writtenPlace(at(".claude.json"), undefined)).toBe(at("dotfiles/claude.json"));
    expect(writtenPlace(at("new.json"), undefined)).toBe(at("new.json"));
  });

  test("is refused for a link that leads nowhere", () => {
    symlinkSync(at("none"), at("broken"));
    expect(() => writtenPlace(at("broken"), undefined)).toThrow(`${at("broken")} is a link that leads nowhere`);
  });

  test("is refused for every link in a project, on the way to the file too, whether it leads somewhere or not", () => {
    mkdirSync(at("project"));
    writeFileSync(at("victim"), "");
    symlinkSync(at("victim"), at("project/.mcp.json"));
    symlinkSync(at("none"), at("project/broken"));
    symlinkSync(folder, at("project/.claude"));
    for (const [name, link] of [
      [".mcp.json", ".mcp.json"],
      ["broken", "broken"],
      [".claude/settings.local.json", ".claude"],
    ] as const)
      expect(() => writtenPlace(at("project", name), at("project"))).toThrow(`${at("project", link)} is a link`);
    expect(writtenPlace(at("project/new/file"), at("project"))).toBe(at("project/new/file"));
  });

  test("is in the nearest work tree above it, if there is any", () => {
    mkdirSync(at("clone/.git"), { recursive: true });
    mkdirSync(at("clone/deep/er"), { recursive: true });
    mkdirSync(at("linked"));
    writeFileSync(at("linked/.git"), "gitdir: elsewhere");
    expect(workTreeOf(at("clone/deep/er/x.json"))).toBe(at("clone"));
    expect(workTreeOf(at("linked/x.json"))).toBe(at("linked"));
    expect(workTreeOf(at("x.json"))?.startsWith(folder)).not.toBe(true);
  });
});
