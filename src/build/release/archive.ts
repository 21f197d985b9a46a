import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tarOf } from "../tar.ts";
import type { TarEntry } from "../tar.ts";
import type { Built, Release } from "./parts.ts";

const root = join(import.meta.dir, "../../..");

/** The higher levels take longer and save next to nothing. */
const GZIP_LEVEL = 6;

/** Lays `dewey-VERSION-TARGET.tar.gz`: one folder with the program, its licence and those of the works in it. */
export function layArchive({ version, seconds, folder }: Release, { target, binary, notices }: Built): void {
  const name = `dewey-${version}-${target}`;
  const entries: TarEntry[] = [
    { name, content: "folder" },
    { name: `${name}/dewey`, content: readFileSync(binary), isExecutable: true },
    { name: `${name}/LICENSE`, content: readFileSync(join(root, "LICENSE")) },
    { name: `${name}/NOTICES.txt`, content: readFileSync(notices) },
  ];
  writeFileSync(join(folder, `${name}.tar.gz`), compressed(entries, seconds));
}

/** A tar, compressed with gzip, which states no time of its own. */
export function compressed(entries: readonly TarEntry[], seconds: number): Uint8Array {
  return Bun.gzipSync(tarOf(entries, seconds), { level: GZIP_LEVEL });
}
