import { readdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";

/**
 * Says in one sentence why a binary cannot be tested: it is missing, or older than one of its source files.
 * Returns undefined when it is up to date.
 */
export function staleness(binary: string, sources: string[]): string | undefined {
  const built = statSync(binary, { throwIfNoEntry: false });
  const name = relative("", binary);
  if (!built) return `${name} is missing; build it: bun run build`;
  const newer = sources.flatMap(filesIn).find((file) => statSync(file).mtimeMs > built.mtimeMs);
  return newer === undefined
    ? undefined
    : `${name} is older than ${relative("", newer)}; build it again: bun run build`;
}

function filesIn(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
