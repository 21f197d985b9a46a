import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../../package.json" with { type: "json" };
import { NPM_PACKAGE } from "../../cli/installation.ts";
import type { Target } from "../engine.ts";
import type { TarEntry } from "../tar.ts";
import { compressed } from "./archive.ts";
import type { Built, Release } from "./parts.ts";

// One package without the program, which asks npm for that of the platform at hand: as esbuild and others do it, so that
// nothing is downloaded by a script.

const root = join(import.meta.dir, "../../..");

/** Lays the package that people install. */
export function layNpm(release: Release, targets: readonly Target[]): void {
  const manifest = {
    ...common(release),
    name: NPM_PACKAGE,
    bin: { dewey: "dewey.mjs" },
    engines: { node: ">=18" },
    optionalDependencies: Object.fromEntries(targets.map((target) => [platformName(target), release.version])),
  };
  lay(release, NPM_PACKAGE, manifest, [
    { name: "dewey.mjs", content: Buffer.from(launcher()), isExecutable: true },
    { name: "README.md", content: readFileSync(join(root, "README.md")) },
    { name: "LICENSE", content: readFileSync(join(root, "LICENSE")) },
  ]);
}

/** Lays a platform's package, which npm installs only there. */
export function layNpmPlatform(release: Release, { target, binary, notices }: Built): void {
  const [os, cpu] = target.split("-");
  const manifest = {
    ...common(release),
    name: platformName(target),
    os: [os],
    cpu: [cpu],
    ...(os === "linux" ? { libc: ["glibc"] } : {}),
  };
  lay(release, manifest.name, manifest, [
    { name: "bin/dewey", content: readFileSync(binary), isExecutable: true },
    { name: "LICENSE", content: readFileSync(join(root, "LICENSE")) },
    { name: "NOTICES.txt", content: readFileSync(notices) },
  ]);
}

/** The program that Node runs: `npm-launcher.ts` without its types. */
export function launcher(): string {
  const source = readFileSync(join(import.meta.dir, "npm-launcher.ts"), "utf8");
  return `#!/usr/bin/env node\n${new Bun.Transpiler({ loader: "ts", target: "node" }).transformSync(source)}`;
}

const platformName = (target: Target): string => `${NPM_PACKAGE}-${target}`;

function common({ version, repository }: Release) {
  const { description, license } = packageJson;
  return { version, description, license, repository: { type: "git", url: `git+${repository}.git` } };
}

function lay({ folder, version, seconds }: Release, name: string, manifest: object, files: TarEntry[]): void {
  const described = { name: "package.json", content: Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`) };
  // npm expects everything in a folder of this name.
  const entries = [described, ...files].map((entry) => ({ ...entry, name: `package/${entry.name}` }));
  writeFileSync(join(folder, `${name}-${version}.tgz`), compressed(entries, seconds));
}
