import { existsSync } from "node:fs";

/**
 * The command line that starts this same program, also after an upgrade: the binary, or Bun with the entry point when running
 * from source. In a compiled binary `Bun.main` is a path in Bun's virtual file system.
 */
export function selfCommand(): string[] {
  return Bun.main.startsWith("/$bunfs/") ? [lastingPath(process.execPath)] : [process.execPath, Bun.main];
}

/** Homebrew removes a version's folder with the next one, but keeps a link to the newest. */
export function lastingPath(program: string, exists: (path: string) => boolean = existsSync): string {
  const linked = program.replace(/\/Cellar\/dewey\/[^/]+\//, "/opt/dewey/");
  return exists(linked) ? linked : program;
}
