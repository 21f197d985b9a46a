import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BACKUP_SUFFIX, ConfigFile } from "../../src/clients/config-file.ts";

const folder = mkdtempSync(join(tmpdir(), "dewey-client-file-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe("a client's file", () => {
  test("keeps its mode and its link when it is written, and has a private backup of its earlier text", () => {
    const path = file("real.json", "{}\n");
    chmodSync(path, 0o640);
    const link = join(folder, "link.json");
    symlinkSync(path, link);
    const linked = new ConfigFile(link);
    linked.keepBackup();
    linked.write("new");
    expect([readFileSync(path, "utf8"), lstatSync(link).isSymbolicLink()]).toEqual(["new", true]);
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(new ConfigFile(link).backup()).toBe("{}\n");
    expect(statSync(`${path}${BACKUP_SUFFIX}`).mode & 0o777).toBe(0o600);
  });

  test("is created for its owner only, without a backup", () => {
    const path = join(folder, "sub/new.json");
    new ConfigFile(path).write("text");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(new ConfigFile(path).backup()).toBeUndefined();
  });

  test("keeps its indentation and its line ends", () => {
    const textOf = (text: string) => new ConfigFile(file("form.json", text)).jsonText({ a: 1 });
    expect(textOf('{\n\t"x": 1\n}')).toBe('{\n\t"a": 1\n}');
    expect(textOf('{\n    "x": 1\n}\n')).toBe('{\n    "a": 1\n}\n');
    expect(textOf('{\r\n  "x": 1\r\n}\r\n')).toBe('{\r\n  "a": 1\r\n}\r\n');
    expect(textOf("{}")).toBe('{\n  "a": 1\n}');
    expect(new ConfigFile(join(folder, "none.json")).jsonText({})).toBe("{}\n");
  });

  test("is refused at once when it is no plain file, or larger than any configuration", () => {
    const path = join(folder, ".mcp.json");
    const wrong = [
      // A pipe, which nobody writes to, would be read for ever.
      () => Bun.spawnSync(["mkfifo", path]),
      () => mkdirSync(path),
      () => truncateSync(file(".mcp.json", ""), 100 * 1024 * 1024),
    ];
    for (const lay of wrong) {
      lay();
      expect(() => new ConfigFile(path, folder)).toThrow(/is no file|takes more than/);
      rmSync(path, { recursive: true });
    }
    Bun.spawnSync(["mkfifo", `${path}${BACKUP_SUFFIX}`]);
    expect(() => new ConfigFile(path, folder).backup()).toThrow("is no file");
  });

  test("is an empty object when it is empty or missing, and refused when it is anything but an object", () => {
    expect(new ConfigFile(file("empty.json", " \n")).json()).toEqual({});
    expect(new ConfigFile(join(folder, "none.json")).json()).toEqual({});
    for (const text of ["[]", "null", "{ // comment\n}"]) {
      const path = file("wrong.json", text);
      expect(() => new ConfigFile(path).json()).toThrow(`${path} is not a JSON object`);
    }
  });
});
