import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { entriesIn, tarOf } from "../../src/build/tar.ts";
import { temporaryHome } from "../support/home.ts";

const SECONDS = 1_700_000_000;
const long = `${"folder-with-a-long-name/".repeat(6)}file`;

function fill(folder: string, umask: number): void {
  for (const name of ["a", "b"]) mkdirSync(join(folder, name));
  writeFileSync(join(folder, "b/program"), "#!/bin/sh\necho ran\n");
  writeFileSync(join(folder, "a/text"), "x".repeat(1000));
  chmodSync(join(folder, "b/program"), 0o777 & ~umask);
  chmodSync(join(folder, "a/text"), 0o666 & ~umask);
  symlinkSync("text", join(folder, "a/link"));
}

describe("a tar", () => {
  test("is the same for the same files, whatever their times and the umask", () => {
    using first = temporaryHome();
    using second = temporaryHome();
    fill(first.path, 0o022);
    fill(second.path, 0o077);
    utimesSync(join(second.path, "a/text"), 1, 1);
    const tar = tarOf(entriesIn(first.path), SECONDS);
    expect(Buffer.from(tarOf(entriesIn(second.path), SECONDS)).equals(Buffer.from(tar))).toBe(true);
  });

  test("is what the tar program reads: files, folders, links, long names, modes and times", () => {
    using source = temporaryHome();
    using target = temporaryHome();
    fill(source.path, 0o022);
    const entries = [...entriesIn(source.path), { name: long, content: Buffer.from("deep") }];
    writeFileSync(join(source.path, "archive.tar"), tarOf(entries, SECONDS));
    const { exitCode } = Bun.spawnSync(["tar", "-xf", join(source.path, "archive.tar"), "-C", target.path]);
    expect(exitCode).toBe(0);
    const at = (name: string) => join(target.path, name);
    expect(readdirSync(target.path).toSorted()).toEqual(["a", "b", "folder-with-a-long-name"]);
    expect(readFileSync(at("a/text"), "utf8")).toBe("x".repeat(1000));
    expect(readlinkSync(at("a/link"))).toBe("text");
    expect(readFileSync(at(long), "utf8")).toBe("deep");
    expect(statSync(at("b/program")).mode & 0o777).toBe(0o755);
    expect(statSync(at("a/text")).mode & 0o777).toBe(0o644);
    expect(statSync(at("a/text")).mtimeMs).toBe(SECONDS * 1000);
  });

  test("refuses a name that does not fit", () => {
    expect(() => tarOf([{ name: "x".repeat(101), content: "folder" }], SECONDS)).toThrow("is too long for a tar");
  });
});
