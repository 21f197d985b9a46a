import { existsSync } from "node:fs";

/** The binary's path; undefined when running from source. In a binary `Bun.main` is a path in Bun's virtual file system. */
export function binaryPath(): string | undefined {
  return Bun.main.startsWith("/$bunfs/") ? process.execPath : undefined;
}

/**
 * The command line that starts this same program, also after an upgrade: the binary, or Bun with the entry point when running
 * from source.
 */
export function selfCommand(): string[] {
  const binary = binaryPath();
  return binary === undefined ? [process.execPath, Bun.main] : [lastingPath(binary)];
}

/** Homebrew removes a version's folder with the next one, but keeps a link to the newest. */
export function lastingPath(program: string, exists: (path: string) => boolean = existsSync): string {
  const linked = program.replace(/\/Cellar\/dewey\/[^/]+\//, "/opt/dewey/");
  return exists(linked) ? linked : program;
}
