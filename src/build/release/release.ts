import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { parseArgs } from "node:util";
import packageJson from "../../../package.json" with { type: "json" };
import { layEngine, targets } from "../engine.ts";
import type { Target } from "../engine.ts";
import { runCommand } from "../command.ts";
import { layNotices } from "../notices.ts";
import { layPage } from "../page.ts";
import { layArchive } from "./archive.ts";
import { section } from "./changelog.ts";
import { layDebian } from "./debian.ts";
import { formula } from "./homebrew.ts";
import { layNpm, layNpmPlatform } from "./npm.ts";
import type { Built, Release } from "./parts.ts";

// `bun run release` makes everything that a release consists of, into `dist/release/VERSION`: for each platform an archive,
// a package for npm and a bill of materials, for Linux also Debian packages; a formula for Homebrew, the section of the
// changelog, and the sums of all. The same source gives the same bytes. It publishes nothing.

const root = join(import.meta.dir, "../../..");

const { values } = parseArgs({
  options: {
    repository: { type: "string", default: repositoryHere() ?? "" },
    target: { type: "string", multiple: true, default: [...targets] },
  },
});
if (!/^https:\/\/\S+[^/]$/.test(values.repository)) {
  console.error("release: name the repository whose releases this joins: --repository https://github.com/OWNER/NAME");
  process.exit(2);
}
const unknown = values.target.find((name) => !targets.some((each) => each === name));
if (unknown !== undefined) {
  console.error(`release: there is no target ${unknown}; choose of: ${targets.join(", ")}`);
  process.exit(2);
}
await release(
  values.repository,
  targets.filter((each) => values.target.includes(each)),
);

async function release(repository: string, wanted: readonly Target[]): Promise<void> {
  // The modes of folders in packages must not depend on the person.
  process.umask(0o022);
  const { version } = packageJson;
  const { date, text } = section(readFileSync(join(root, "CHANGELOG.md"), "utf8"), version);
  const folder = join(root, "dist/release", version);
  const it: Release = { version, repository, seconds: Date.parse(`${date}T00:00:00Z`) / 1000, folder };
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  // The completions come from the source, which imports these.
  await Promise.all([layEngine(), layNotices(), layPage()]);
  for (const target of wanted) {
    const built = binaryFor(target, repository);
    layArchive(it, built);
    layNpmPlatform(it, built);
    if (target.startsWith("linux")) layDebian(it, built);
    cpSync(`${built.binary}.cdx.json`, join(folder, `dewey-${version}-${target}.cdx.json`));
  }
  layNpm(it, wanted);
  writeFileSync(join(folder, "CHANGELOG-SECTION.md"), text);
  const archives = new Map(wanted.map((target) => [target, sumOf(join(folder, `dewey-${version}-${target}.tar.gz`))]));
  if (wanted.length === targets.length) writeFileSync(join(folder, "dewey.rb"), formula(it, archives));
  writeFileSync(join(folder, "SHA256SUMS"), sums(folder));
  console.log(`\nLaid in ${relative(root, folder)}:\n${sums(folder)}`);
  console.log(
    `To publish it:\n  git tag --sign v${version} --message "Dewey ${version}"\n  git push origin v${version}`,
  );
}

/** A binary apart from `dist/dewey`, which the tests use: only a release's knows where newer releases are. */
function binaryFor(target: Target, repository: string): Built {
  const folder = join(root, "dist/release/build");
  console.log(`Building for ${target} …`);
  const build = [process.execPath, "src/build/build.ts", "--target", target, "--release", repository];
  runCommand(build, root);
  return { target, binary: join(folder, `dewey-${target}`), notices: join(folder, `dewey-${target}.notices.txt`) };
}

function sums(folder: string): string {
  const names = [...new Bun.Glob("*").scanSync(folder)].filter((name) => name !== "SHA256SUMS").toSorted();
  return names.map((name) => `${sumOf(join(folder, name))}  ${basename(name)}\n`).join("");
}

function sumOf(path: string): string {
  return new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest("hex");
}

/** The repository that a workflow of GitHub runs for. */
function repositoryHere(): string | undefined {
  const { GITHUB_SERVER_URL, GITHUB_REPOSITORY } = process.env;
  return GITHUB_REPOSITORY ? `${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}` : undefined;
}
