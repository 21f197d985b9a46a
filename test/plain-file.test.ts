import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NotAFile, readPlainFile } from "../src/plain-file.ts";

const folder = mkdtempSync(join(tmpdir(), "dewey-plain-file-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("a file is read, through a link too", () => {
  writeFileSync(join(folder, "file"), "text\n");
  symlinkSync(join(folder, "file"), join(folder, "link"));
  expect(readPlainFile(join(folder, "link"))).toBe("text\n");
});

test("a pipe that nobody writes into, a device and a folder are refused at once", () => {
  Bun.spawnSync(["mkfifo", join(folder, "pipe")]);
  for (const path of [join(folder, "pipe"), "/dev/zero", folder]) expect(() => readPlainFile(path)).toThrow(NotAFile);
  expect(() => readPlainFile(join(folder, "absent"))).toThrow("ENOENT");
});
