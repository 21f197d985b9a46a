import { existsSync } from "node:fs";

/** The name of the package on npm; those of the platforms add it, such as `dewey-mcp-linux-x64`. */
export const NPM_PACKAGE = "dewey-mcp";

/** How this program came onto the machine, and the command that brings a newer one. */
export interface Installation {
  kind: "npm" | "npx" | "debian" | "homebrew" | "archive" | "source";
  /** What to run, or to do where no command does it. */
  upgrade: string;
}

/**
 * Tells by the program's own path. `releases` is the address of the releases page, undefined for a program that no release
 * made; `exists` tells whether a file exists.
 */
export function installationOf(
  program: string,
  releases: string | undefined,
  exists: (path: string) => boolean = existsSync,
): Installation {
  if (program.includes(`/node_modules/${NPM_PACKAGE}-`)) {
    const isNpx = program.includes("/_npx/");
    return isNpx
      ? { kind: "npx", upgrade: `npx ${NPM_PACKAGE}@latest` }
      : { kind: "npm", upgrade: `npm install --global ${NPM_PACKAGE}@latest` };
  }
  if (/\/Cellar\/dewey\//.test(program)) return { kind: "homebrew", upgrade: "brew upgrade dewey" };
  if (releases === undefined) return { kind: "source", upgrade: "git pull && bun run build" };
  if (program === "/usr/bin/dewey" && exists("/var/lib/dpkg/info/dewey.list"))
    return { kind: "debian", upgrade: `install the newer package from ${releases}` };
  return { kind: "archive", upgrade: `replace ${program} by the newer one from ${releases}` };
}
