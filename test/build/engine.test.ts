import { describe, expect, test } from "bun:test";
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { engineArchive } from "../../src/build/engine.ts";
import type { Target } from "../../src/build/engine.ts";
import { temporaryHome } from "../support/home.ts";

const root = join(import.meta.dir, "../..");

/** Machine numbers in the header of an ELF file. */
const machines = { "linux-x64": 62, "linux-arm64": 183 } as const;

for (const target of ["linux-x64", "linux-arm64"] as const) {
  describe(`the archive of PostgreSQL for ${target}`, () => {
    test("contains that platform's programs", async () => {
      await using folder = await unpacked(target);
      for (const program of ["bin/initdb", "bin/postgres"]) {
        const header = readFileSync(join(folder.path, program)).subarray(0, 20);
        expect(header.readUInt16LE(18)).toBe(machines[target]);
      }
    });

    test("contains the links between its libraries, none of them dangling", async () => {
      await using folder = await unpacked(target);
      const paths = readdirSync(folder.path, { recursive: true }).map((path) => join(folder.path, String(path)));
      const links = paths.filter((path) => lstatSync(path).isSymbolicLink());
      expect(links.some((path) => path.endsWith("/libicuuc.so.60"))).toBe(true);
      expect(links.filter((path) => !existsSync(path))).toEqual([]);
    });

    test("contains the extensions that search needs", async () => {
      await using folder = await unpacked(target);
      for (const name of ["pg_trgm", "unaccent"]) {
        expect(existsSync(join(folder.path, `share/postgresql/extension/${name}.control`))).toBe(true);
        expect(existsSync(join(folder.path, `lib/postgresql/${name}.so`))).toBe(true);
      }
    });
  });
}

test("processes that need the archive at the same time pack it once, and all read it complete", async () => {
  using clone = temporaryHome();
  for (const part of ["src/build", "src/lock.ts", "src/errors.ts", "src/store/backup/tar.ts", "package.json"])
    cpSync(join(root, part), join(clone.path, part), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(clone.path, "node_modules"));
  const place = "dist/engine/postgres.tar.zst";
  const script = `
    const { layEngine } = await import(${JSON.stringify(join(clone.path, "src/build/engine.ts"))});
    await layEngine();
    console.log("archive", Bun.hash(await Bun.file(${JSON.stringify(join(clone.path, place))}).bytes()));`;
  const outputs = await Promise.all(
    [1, 2, 3].map(() => {
      const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit" });
      return new Response(child.stdout).text();
    }),
  );
  expect(outputs.filter((output) => output.includes("Packing"))).toHaveLength(1);
  const archives = outputs.map((output) => output.trim().split("\n").at(-1));
  expect(archives[0]).toStartWith("archive ");
  expect(new Set(archives).size).toBe(1);
  expect(readdirSync(join(clone.path, "dist/engine")).toSorted()).toEqual(
    [readlinkSync(join(clone.path, place)), "packing.lock", "postgres.tar.zst"].toSorted(),
  );
});

async function unpacked(target: Target) {
  const path = mkdtempSync(join(tmpdir(), "dewey-archive-"));
  const tar = Bun.zstdDecompressSync(readFileSync(await engineArchive(target)));
  await new Bun.Archive(tar).extract(path);
  return { path, [Symbol.asyncDispose]: async () => rmSync(path, { recursive: true, force: true }) };
}
