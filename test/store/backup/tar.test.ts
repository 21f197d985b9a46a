import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { BLOCK_BYTES, ByteReader, padding, parseHeader } from "../../../src/store/backup/tar.ts";
import type { Header } from "../../../src/store/backup/tar.ts";

const folder = mkdtempSync(join(tmpdir(), "dewey-tar-"));
afterAll(() => rmSync(folder, { recursive: true }));

// Longer than the field for names, so that it continues in the prefix field.
const deep = `${"a-folder-with-a-long-name/".repeat(5)}file`;
const large = Buffer.alloc(100_000, "0123456789");

/** A tar of a few files, written by the tar program. */
function written(): Buffer {
  const source = join(folder, "source");
  mkdirSync(dirname(join(source, deep)), { recursive: true });
  writeFileSync(join(source, deep), "deep");
  writeFileSync(join(source, "program"), large, { mode: 0o755 });
  writeFileSync(join(source, "empty"), "");
  symlinkSync("program", join(source, "link"));
  const file = join(folder, "x.tar");
  Bun.spawnSync(["tar", "--format=ustar", "-C", source, "-cf", file, "program", "empty", "link", deep]);
  return readFileSync(file);
}

const archive = written();

/** The archive in chunks that do not align with blocks. */
async function* chunks(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 777) yield bytes.subarray(at, at + 777);
}

async function entries(bytes: Uint8Array) {
  const reader = new ByteReader(chunks(bytes), "the archive");
  const found: (Header & { content: string })[] = [];
  for (;;) {
    const header = parseHeader(await reader.take(BLOCK_BYTES));
    if (!header) return found;
    const parts = await Array.fromAsync(reader.parts(header.size), (part) => Buffer.from(part));
    await reader.take(padding(header.size));
    found.push({ ...header, content: Buffer.concat(parts).toString() });
  }
}

test("an archive of the tar program is read with names, modes, links and contents", async () => {
  expect(await entries(archive)).toMatchObject([
    { name: "program", kind: "file", mode: 0o755, content: large.toString() },
    { name: "empty", kind: "file", content: "" },
    { name: "link", kind: "link", target: "program", content: "" },
    { name: deep, kind: "file", content: "deep" },
  ]);
});

test("an archive cut off anywhere is reported so", async () => {
  for (const bytes of [0, 100, BLOCK_BYTES + 1, 50_000]) {
    const reading = entries(archive.subarray(0, bytes));
    expect(await reading.catch((error: unknown) => (error as Error).message)).toBe("the archive is cut off");
  }
});

test("a block with a wrong checksum is no header", () => {
  const block = Buffer.from(archive.subarray(0, BLOCK_BYTES));
  expect(parseHeader(block)).toBeDefined();
  block[0] = 0x7a;
  expect(parseHeader(block)).toBeUndefined();
});
