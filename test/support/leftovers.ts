import { chmodSync, mkdtempSync, readFileSync, readdirSync, renameSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

/** Environment variable that marks every process of a test run with the id of the run. */
const MARK = "TEST_RUN";

/** Time for processes to exit after the last test; only one that does not exit takes all of it. */
const GRACE_MS = 20_000;
const POLL_INTERVAL_MS = 50;

/**
 * Waits for the end of a pipe from the run, which closes however the run ends. Then it kills every process with the run's
 * mark and removes the run's folder. It ignores signals to the run's process group. The guards of PostgreSQL have no mark:
 * they stop it themselves, which may take a moment in which it still writes files.
 */
const WATCH = `
trap '' HUP INT TERM
read -r _
for try in 1 2 3 4 5 6 7 8 9 10; do
  left=$(grep -lszx "$1" /proc/[0-9]*/environ | cut -d/ -f3)
  [ -n "$left" ] || break
  kill -KILL $left 2>/dev/null
  sleep 0.1
done
for try in 1 2 3 4 5 6 7 8 9 10; do
  rm -rf "$2" 2>/dev/null && exit 0
  umount -l "$2"/*/ 2>/dev/null
  sleep 1
done`;

/**
 * Makes all processes that this one starts from now on, and their descendants, die with it, and removes its temporary
 * files then. Linux only.
 */
export function leaveNothing(): void {
  const mark = `${process.pid}-${Date.now()}`;
  const folder = mkdtempSync(join(tmpdir(), "tests-"));
  // PostgreSQL's own user must be able to traverse it when this runs as root.
  chmodSync(folder, 0o711);
  const watch = Bun.spawn(["/bin/sh", "-c", WATCH, "sh", `${MARK}=${mark}`, folder], {
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
    cwd: "/",
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  watch.unref();
  Object.assign(process.env, { [MARK]: mark, TMPDIR: folder });
  passEnvironment();
}

/** Moves a folder out of the run's temporary folder, so that it outlives the run. Returns its new path. */
export function keepFolder(folder: string): string {
  const kept = join(dirname(tmpdir()), basename(folder));
  renameSync(folder, kept);
  return kept;
}

/** Without `env`, `Bun.spawn` passes on the environment as it was at the start of the process, without the mark. */
function passEnvironment(): void {
  const { spawn, spawnSync } = Bun;
  Object.assign(Bun, {
    spawn: (command: string[], options?: object) => spawn(command, { env: process.env, ...options }),
    spawnSync: (command: string[], options?: object) => spawnSync(command, { env: process.env, ...options }),
  });
}

/** The mark and the temporary folder of the run, for child processes with an explicit environment. */
export function runEnvironment(): Record<string, string> {
  return Object.fromEntries(
    [MARK, "TMPDIR"].flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** Waits until all processes of this run have exited. Throws with the command lines of those that have not. */
export async function expectNoneLeft(graceMs = GRACE_MS): Promise<void> {
  const deadlineMs = performance.now() + graceMs;
  let left = processesLeft();
  while (left.length > 0 && performance.now() < deadlineMs) {
    await Bun.sleep(POLL_INTERVAL_MS);
    left = processesLeft();
  }
  if (left.length > 0) throw new Error(`processes are still running after the tests:\n${left.join("\n")}`);
}

function processesLeft(): string[] {
  const mark = `${MARK}=${process.env[MARK]}`;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        if (!readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(mark)) return [];
        return `${pid} ${readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")}`;
      } catch {
        // It has exited, or belongs to another user.
        return [];
      }
    });
}
