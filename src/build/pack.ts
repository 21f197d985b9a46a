import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { runCommand } from "./command.ts";

/** zstd's level: 9 packs within a second; 19 takes fifteen times as long to make the binary 2 MB of 130 smaller. */
const COMPRESSION_LEVEL = 9;

/** What PostgreSQL needs only to build other programs against it. */
const needless = /\.a$|\/pkgconfig(\/|$)|\/pgxs(\/|$)|\/include(\/|$)|\.h$/;

/** One tar of `bin`, `lib` and `share`, with the links between the libraries, compressed. */
export async function pack(source: string): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), "dewey-pack-"));
  try {
    layOut(source, folder);
    const tar = join(folder, "engine.tar");
    runCommand(["tar", "--format=ustar", "-cf", tar, "bin", "lib", "share"], folder);
    return await Bun.zstdCompress(readFileSync(tar), { level: COMPRESSION_LEVEL });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Copies what the package's engine needs to run into a folder. */
export function layOut(source: string, folder: string): void {
  cpSync(join(source, "native"), folder, {
    recursive: true,
    filter: (path) => !needless.test(path) && basename(path) !== "pg-symlinks.json",
  });
  // npm packages hold no links. The package's install script makes them from this list, but Bun runs no install
  // scripts of packages that are not trusted, so they are made here.
  const list = readFileSync(join(source, "native/pg-symlinks.json"), "utf8");
  const links = JSON.parse(list) as { source: string; target: string }[];
  for (const link of links) {
    const place = join(folder, link.target.replace(/^native\//, ""));
    if (existsSync(dirname(place)) && !existsSync(place)) symlinkSync(basename(link.source), place);
  }
}
