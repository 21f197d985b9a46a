import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import packageJson from "../../../package.json" with { type: "json" };
import { units } from "../../cli/units.ts";
import type { Built, Release } from "./parts.ts";

const root = join(import.meta.dir, "../../..");

/** Debian's names of the architectures. */
const architectures: Partial<Record<Built["target"], string>> = { "linux-x64": "amd64", "linux-arm64": "arm64" };

/** The oldest C library that has every symbol that Bun and PostgreSQL ask for. */
const LIBC_VERSION = "2.27";

/** Where the package puts the program. */
const PROGRAM = "/usr/bin/dewey";

/** A file of the package, by its path without the slash at the front. */
type Files = Record<string, { bytes: string | Uint8Array; isExecutable?: true }>;

/**
 * Lays `dewey_VERSION_ARCHITECTURE.deb` by `dpkg-deb`: the program, the units of its services and the completions. Installing it
 * starts no service: one person needs none, and a server for several needs settings first.
 */
export function layDebian(release: Release, { target, binary, notices }: Built): void {
  const architecture = architectures[target];
  if (architecture === undefined) throw new Error(`Debian has no name for ${target}`);
  const files: Files = {
    ...control(release, architecture, Math.ceil(statSync(binary).size / 1024)),
    "usr/bin/dewey": { bytes: readFileSync(binary), isExecutable: true },
    "usr/lib/systemd/system/dewey.service": { bytes: units.serve(PROGRAM) },
    "usr/lib/systemd/user/dewey-proxy.service": { bytes: units.proxy(PROGRAM) },
    "usr/lib/systemd/user/dewey-watch.service": { bytes: units.watch(PROGRAM) },
    "usr/share/bash-completion/completions/dewey": { bytes: completions("bash") },
    "usr/share/zsh/vendor-completions/_dewey": { bytes: completions("zsh") },
    "usr/share/fish/vendor_completions.d/dewey.fish": { bytes: completions("fish") },
    "usr/share/doc/dewey/copyright": {
      bytes: `${readFileSync(join(root, "LICENSE"), "utf8")}\n${readFileSync(notices, "utf8")}`,
    },
    "usr/share/doc/dewey/changelog.gz": { bytes: Bun.gzipSync(readFileSync(join(root, "CHANGELOG.md"))) },
  };
  build(files, join(release.folder, `dewey_${release.version}_${architecture}.deb`), release.seconds);
}

function build(files: Files, outfile: string, seconds: number): void {
  const folder = mkdtempSync(join(tmpdir(), "dewey-debian-"));
  try {
    chmodSync(folder, 0o755);
    for (const [name, { bytes, isExecutable = false }] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), bytes);
      chmodSync(join(folder, name), isExecutable ? 0o755 : 0o644);
    }
    const command = ["dpkg-deb", "-Zgzip", "-z6", "--root-owner-group", "--build", folder, outfile];
    // It gives every file that is newer this time, and its own headers too.
    const env = { ...process.env, SOURCE_DATE_EPOCH: `${seconds}` };
    const { exitCode, stderr } = Bun.spawnSync(command, { env, stdout: "ignore", stderr: "pipe" });
    if (exitCode !== 0) throw new Error(`dpkg-deb failed: ${stderr.toString()}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function control({ version, repository }: Release, architecture: string, sizeKb: number): Files {
  const text = `Package: dewey
Version: ${version}
Architecture: ${architecture}
Maintainer: The Dewey authors <${repository}/issues>
Installed-Size: ${sizeKb}
Depends: libc6 (>= ${LIBC_VERSION})
Section: utils
Priority: optional
Homepage: ${repository}
Description: keeps what people and AI agents say and do, and finds it again
 ${packageJson.description}
`;
  return {
    "DEBIAN/control": { bytes: text },
    "DEBIAN/postinst": {
      bytes: script('[ "$1" = configure ]', RELOAD, "systemctl try-restart dewey.service || true"),
      isExecutable: true,
    },
    "DEBIAN/prerm": {
      bytes: script('[ "$1" = remove ]', "systemctl disable --now dewey.service || true"),
      isExecutable: true,
    },
    // What is stored belongs to people, and stays also when the package is purged.
    "DEBIAN/postrm": { bytes: script("true", RELOAD), isExecutable: true },
  };
}

const RELOAD = "systemctl daemon-reload || true";

/** A script that acts where systemd runs, under a condition. */
function script(condition: string, ...actions: string[]): string {
  return `#!/bin/sh\nset -e\nif ${condition} && [ -d /run/systemd/system ]; then\n  ${actions.join("\n  ")}\nfi\n`;
}

function completions(shell: "bash" | "zsh" | "fish"): string {
  const command = [process.execPath, join(root, "src/main.ts"), "completions", shell];
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { stdout: "pipe", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`dewey completions ${shell} failed: ${stderr.toString()}`);
  return stdout.toString();
}
