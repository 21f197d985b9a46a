import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLog } from "../../../src/log.ts";
import { Supervisor } from "../../../src/store/engine/supervisor.ts";
import type { SupervisorLimits } from "../../../src/store/engine/supervisor.ts";
import { failure } from "../../support/failure.ts";
import { temporaryHome } from "../../support/home.ts";
import { quiet } from "../../support/quiet.ts";
import { until } from "../../support/rpc.ts";

const isRunning = (pid: number) => existsSync(`/proc/${pid}`);
const READY = "database system is ready to accept connections";

/** A supervisor of a shell script in place of PostgreSQL. The file `lives` lists the pids of the script's lives. */
function supervising(folder: string, script: string, limits: Partial<SupervisorLimits> = {}) {
  const lines: { message: string; reason?: string; pauseMs?: number }[] = [];
  const file = join(folder, "lives");
  writeFileSync(file, "");
  let cleared = 0;
  const supervisor = new Supervisor({
    command: ["/bin/sh", "-c", `echo $$ >>${file}; life=$(($(wc -l <${file}))); ${script}`],
    identity: { prefix: [] },
    log: createLog({ level: "error", format: "json", write: (line) => lines.push(JSON.parse(line)) }),
    clear: async () => void (cleared += 1),
    limits,
  });
  return {
    supervisor,
    lines,
    cleared: () => cleared,
    /** The process of each life. */
    pids: () => readFileSync(file, "utf8").split("\n").filter(Boolean).map(Number),
    [Symbol.asyncDispose]: () => supervisor.stop(),
  };
}

describe("a PostgreSQL that does not start", () => {
  test("is reported with the gravest line that it logged", async () => {
    using folder = temporaryHome();
    await using never = supervising(
      folder.path,
      "echo 'LOG: starting' >&2; echo 'FATAL: no such data' >&2; echo 'LOG: shut down' >&2; exit 1",
    );
    expect(await failure(never.supervisor.start())).toMatchObject({
      code: "unavailable",
      message: "the embedded PostgreSQL does not start: FATAL: no such data",
    });
    expect([never.pids().length, never.cleared()]).toEqual([1, 1]);
  });

  test("and logs nothing is reported so", async () => {
    using folder = temporaryHome();
    await using never = supervising(folder.path, "exit 1");
    expect((await failure(never.supervisor.start())).message).toEndWith("does not start: it said nothing");
  });

  test("in time is ended, even if it ignores requests to stop", async () => {
    using folder = temporaryHome();
    await using never = supervising(folder.path, "trap '' INT; while :; do sleep 0.1; done", {
      startMs: 500,
      stopMs: 500,
    });
    expect((await failure(never.supervisor.start())).message).toEndWith("does not start: it takes too long");
    const [pid = 0] = never.pids();
    await until("it is gone", () => !isRunning(pid));
  });

  test.each(["FATAL: pre-existing shared memory block is still in use", 'FATAL: lock file "x" already exists'])(
    "because of another's remains is started again: %s",
    async (reason) => {
      using folder = temporaryHome();
      await using third = supervising(
        folder.path,
        `[ $life -lt 3 ] && { echo '${reason}' >&2; exit 1; }; echo '${READY}' >&2; exec sleep 1000`,
        { firstPauseMs: 1, stopMs: 500 },
      );
      await third.supervisor.start();
      expect([third.pids().length, third.cleared()]).toEqual([3, 3]);
    },
  );

  test("because of another's remains is given up if they stay", async () => {
    using folder = temporaryHome();
    await using never = supervising(folder.path, "echo 'FATAL: lock file exists' >&2; exit 1", { takeoverMs: 0 });
    expect((await failure(never.supervisor.start())).message).toEndWith("FATAL: lock file exists");
    expect(never.pids()).toHaveLength(1);
  });
});

describe("a PostgreSQL that dies", () => {
  const dying = `echo '${READY}' >&2; echo "PANIC: life $life" >&2; exit 1`;

  test("is restarted after growing pauses, and the reason is logged", async () => {
    using folder = temporaryHome();
    await using restarted = supervising(folder.path, dying, { firstPauseMs: 1, longestPauseMs: 60_000 });
    await restarted.supervisor.start();
    await until("five lives", () => restarted.lines.length >= 5);
    expect(restarted.lines.slice(0, 5).map(({ reason, pauseMs }) => [reason, pauseMs])).toEqual([
      ["PANIC: life 1", 1],
      ["PANIC: life 2", 2],
      ["PANIC: life 3", 4],
      ["PANIC: life 4", 8],
      ["PANIC: life 5", 16],
    ]);
  });

  test("after a long life is restarted after the first pause", async () => {
    using folder = temporaryHome();
    const script = `echo '${READY}' >&2; [ $life -eq 3 ] && sleep 0.5; exit 1`;
    await using restarted = supervising(folder.path, script, { firstPauseMs: 1, longestPauseMs: 300 });
    await restarted.supervisor.start();
    await until("three deaths", () => restarted.lines.length >= 3);
    expect(restarted.lines[2]?.pauseMs).toBe(1);
  });

  test("is not restarted once it is stopped", async () => {
    using folder = temporaryHome();
    const restarted = supervising(folder.path, `echo '${READY}' >&2; exec sleep 1000`, {
      stopMs: 100,
      firstPauseMs: 1,
    });
    await restarted.supervisor.start();
    await restarted.supervisor.stop();
    await until("it is gone", () => !restarted.pids().some(isRunning));
    await Bun.sleep(50);
    expect([restarted.lines, restarted.pids().length]).toEqual([[], 1]);
  });

  test("and is stopped during a pause stays dead", async () => {
    using folder = temporaryHome();
    const restarted = supervising(folder.path, dying, { firstPauseMs: 200 });
    await restarted.supervisor.start();
    await until("its death", () => restarted.lines.length === 1);
    await restarted.supervisor.stop();
    await Bun.sleep(400);
    expect(restarted.pids()).toHaveLength(1);
  });
});

/** Accepts connections at once, but requests to stop only after a while, like a PostgreSQL that has just started. */
const hardOfHearing = (heard: string) => `
  console.error("database system is ready to accept connections");
  setTimeout(() => process.on("SIGINT", () => { require("fs").writeFileSync(${JSON.stringify(heard)}, ""); process.exit(); }), 1500);
  setInterval(() => {}, 1000);`;

test("a PostgreSQL too young to handle a request to stop is asked again, and neither left running nor killed", async () => {
  using folder = temporaryHome();
  const heard = join(folder.path, "heard");
  const supervisor = new Supervisor({
    command: [process.execPath, "-e", hardOfHearing(heard)],
    identity: { prefix: [] },
    log: quiet,
    clear: () => Promise.resolve(),
  });
  await supervisor.start();
  await supervisor.stop();
  expect(existsSync(heard)).toBe(true);
});
