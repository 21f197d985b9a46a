import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FrameEntry, SessionOpen } from "../../src/proxy/spool/entry.ts";
import type { SpoolOptions } from "../../src/proxy/spool/spool.ts";
import { quiet } from "./quiet.ts";

/** The path of a spool folder that does not exist yet, in a temporary folder removed when the block ends. */
export function spoolFolder(): { path: string } & Disposable {
  const folder = mkdtempSync(join(tmpdir(), "dewey-spool-"));
  return { path: join(folder, "spool"), [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}

export function sessionOpen(session: string = Bun.randomUUIDv7(), upstream = "tools"): SessionOpen {
  return { kind: "open", session, time: 1_767_225_600_000, upstream, record: "calls", wire: "websocket" };
}

export function frameEntry(session: string, sequence: number, frame: string): FrameEntry {
  const time = 1_767_225_600_000 + sequence;
  return { kind: "frame", session, sequence, direction: sequence % 2 === 1 ? "up" : "down", time, frame };
}

/** Options of a spool with no effective limits, from which nothing is delivered. */
export function spoolOptions(folder: string, options: Partial<SpoolOptions> = {}): SpoolOptions {
  return {
    folder,
    limits: { bytes: 1e12, ageMs: 1e12 },
    sync: false,
    log: quiet,
    onAppend: () => {},
    waiting: () => ({ bytes: 0, oldestTime: undefined }),
    ...options,
  };
}

/** The recordings of proxies that were not delivered yet. */
export function spoolFiles(dataDir: string): string[] {
  const folder = join(dataDir, "spool");
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".spool")) : [];
}
