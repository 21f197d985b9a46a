import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runEnvironment } from "./leftovers.ts";

/** A minimal shell environment without any setting of Dewey's. */
export function plainEnvironment(home: string): Record<string, string> {
  const path = process.env["PATH"] ?? "/usr/bin:/bin";
  return { PATH: path, HOME: home, XDG_DATA_HOME: join(home, ".local", "share"), ...runEnvironment() };
}

/** An empty home folder, removed when the block ends. */
export function temporaryHome(): { path: string; [Symbol.dispose](): void } {
  const path = mkdtempSync(join(tmpdir(), "dewey-home-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
