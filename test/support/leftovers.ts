import { readFileSync, readdirSync } from "node:fs";

/** Stands in the environment of every process that comes of a run of tests, and says which run. */
const MARK = "TEST_RUN";

/** Processes that were told to end have this long until they count as left: only one that does not end takes it. */
const GRACE_MS = 20_000;
const POLL_INTERVAL_MS = 50;

/**
 * Reads a pipe from the run, which ends with it, in whatever way, and then kills all that bears the run's mark. Signals
 * for the run's process group pass it by. PostgreSQL's guards bear no mark: they stop their PostgreSQL themselves.
 */
const WATCH = `
trap '' HUP INT TERM
read -r _
for try in 1 2 3 4 5 6 7 8 9 10; do
  left=$(grep -lszx "$1" /proc/[0-9]*/environ | cut -d/ -f3)
  [ -n "$left" ] || exit 0
  kill -KILL $left 2>/dev/null
  sleep 0.1
done`;

/**
 * From here on, the processes that this one starts die with it, and so do theirs. Linux only. Calling it again changes
 * nothing.
 */
export function endProcessesWithThisOne(): void {
  if (process.env[MARK]?.startsWith(`${process.pid}-`) === true) return;
  const mark = `${process.pid}-${Date.now()}`;
  process.env[MARK] = mark;
  const watch = Bun.spawn(["/bin/sh", "-c", WATCH, "sh", `${MARK}=${mark}`], {
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
    cwd: "/",
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  watch.unref();
  passEnvironment();
}

/** `Bun.spawn` without an `env` passes on what the environment was when this process began, and so not the mark. */
function passEnvironment(): void {
  const { spawn, spawnSync } = Bun;
  Object.assign(Bun, {
    spawn: (command: string[], options?: object) => spawn(command, { env: process.env, ...options }),
    spawnSync: (command: string[], options?: object) => spawnSync(command, { env: process.env, ...options }),
  });
}

/** For processes that are not given this one's environment. */
export function runMark(): Record<string, string> {
  const mark = process.env[MARK];
  return mark === undefined ? {} : { [MARK]: mark };
}

/** Waits until the processes of this run have ended. Throws with the command lines of those that have not. */
export async function expectNoneLeft(graceMs = GRACE_MS): Promise<void> {
  const deadlineMs = performance.now() + graceMs;
  let left = processesLeft();
  while (left.length > 0 && performance.now() < deadlineMs) {
    await Bun.sleep(POLL_INTERVAL_MS);
    left = processesLeft();
  }
  if (left.length > 0) throw new Error(`the tests have left processes behind:\n${left.join("\n")}`);
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
        // It has ended meanwhile, or belongs to another user.
        return [];
      }
    });
}
