import { mkdtempSync, rmSync, rmdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A small file system that can really be full or read-only. Only root may mount one. */
export interface SmallDisk extends Disposable {
  path: string;
  fill(): void;
  free(): void;
  readOnly(yes: boolean): void;
}

export const canMount = process.platform === "linux" && process.getuid?.() === 0 && tryMount();

export function smallDisk(kilobytes: number): SmallDisk {
  const path = mkdtempSync(join(tmpdir(), "dewey-disk-"));
  run("mount", "-t", "tmpfs", "-o", `size=${kilobytes}k,mode=0700`, "tmpfs", path);
  const filler = join(path, "filler");
  return {
    path,
    fill() {
      for (const size of [kilobytes * 1024, 4096, 1]) {
        try {
          writeFileSync(filler, Buffer.alloc(size, 1), { flag: "a" });
        } catch {
          // A write fills the remaining space before it fails.
        }
      }
    },
    free: () => rmSync(filler),
    readOnly: (yes) => run("mount", "-o", `remount,${yes ? "ro" : "rw"}`, path),
    [Symbol.dispose]() {
      // Lazy: files still open there stay usable until they are closed.
      run("umount", "-l", path);
      rmdirSync(path);
    },
  };
}

function tryMount(): boolean {
  try {
    smallDisk(64)[Symbol.dispose]();
    return true;
  } catch {
    return false;
  }
}

function run(...command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command, { stderr: "pipe" });
  if (exitCode !== 0) throw new Error(stderr.toString());
}
