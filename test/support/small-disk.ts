import { mkdtempSync, rmSync, rmdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A disk of a test's own that can be full or read-only as real ones are. Root alone may mount. */
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
          // As much as fits is written before it says that it is full.
        }
      }
    },
    free: () => rmSync(filler),
    readOnly: (yes) => run("mount", "-o", `remount,${yes ? "ro" : "rw"}`, path),
    [Symbol.dispose]() {
      // What is still open there keeps its memory and goes with it.
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
