/**
 * The command line that starts this same program: the binary, or Bun with the entry point when running from source. In a
 * compiled binary `Bun.main` is a path in Bun's virtual file system.
 */
export function selfCommand(): string[] {
  return Bun.main.startsWith("/$bunfs/") ? [process.execPath] : [process.execPath, Bun.main];
}
