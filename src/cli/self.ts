/**
 * The command line that starts this same program again: the binary itself, or Bun with the entry point when it runs
 * from source. In a compiled binary `Bun.main` lies in Bun's virtual file system.
 */
export function selfCommand(): string[] {
  return Bun.main.startsWith("/$bunfs/") ? [process.execPath] : [process.execPath, Bun.main];
}
