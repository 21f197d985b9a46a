import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryHome } from "./home.ts";
import { expectNoneLeft } from "./leftovers.ts";
import { isRunning } from "./processes.ts";
import { until } from "./rpc.ts";

const preload = join(import.meta.dir, "preload.ts");

/** Runs one test that starts a process, which starts another one in a session of its own. */
function startRun(folder: string) {
  const program = `setsid sleep 1000 & echo "$$ $!"; exec sleep 1000`;
  writeFileSync(join(folder, "bunfig.toml"), `[test]\npreload = [${JSON.stringify(preload)}]\n`);
  writeFileSync(
    join(folder, "starting.test.ts"),
    `import { test } from "bun:test";
    import { tmpdir } from "node:os";
    test("starts processes", async () => {
      const child = Bun.spawn(["sh", "-c", ${JSON.stringify(program)}], { stdout: "pipe" });
      const { value } = await child.stdout.getReader().read();
      await Bun.write("started", tmpdir() + " " + new TextDecoder().decode(value));
      await child.exited;
    });`,
  );
  return Bun.spawn([process.execPath, "test"], { cwd: folder, stdout: "ignore", stderr: "ignore" });
}

async function startedIn(folder: string): Promise<{ pids: number[]; files: string }> {
  const file = join(folder, "started");
  const text = await until("the processes", () => (existsSync(file) && readFileSync(file, "utf8")) || undefined);
  const [files = "", ...pids] = text.trim().split(" ");
  return { pids: pids.map(Number), files };
}

describe("processes and temporary files of a test run", () => {
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    test(`are gone after ${signal} ends it`, async () => {
      using folder = temporaryHome();
      const run = startRun(folder.path);
      const { pids, files } = await startedIn(folder.path);
      expect(pids).toHaveLength(2);
      expect(existsSync(files)).toBe(true);
      run.kill(signal);
      await run.exited;
      await until("the end of the processes", () => !pids.some(isRunning));
      await until("the removal of temporary files", () => !existsSync(files));
    });
  }

  test("are named when a process does not exit", async () => {
    const child = Bun.spawn(["sleep", "1000"]);
    try {
      const complaint = await expectNoneLeft(0).catch(String);
      expect(complaint).toContain(`${child.pid} sleep 1000`);
    } finally {
      child.kill();
      await child.exited;
    }
  });
});
