import { describe, expect, test } from "bun:test";
import { createLog } from "../../src/log.ts";
import { serviceManager } from "../../src/cli/service-manager.ts";
import { temporaryHome } from "../support/home.ts";
import { hasPython, notifySocket } from "../support/notify-socket.ts";
import { quiet } from "../support/quiet.ts";
import { until } from "../support/rpc.ts";

const isTestable = hasPython && process.platform === "linux";

describe.skipIf(!isTestable)("a service manager", () => {
  test("is told when the service is ready, that it lives, and when it stops", async () => {
    using home = temporaryHome();
    await using socket = await notifySocket(home.path);
    const env = { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: "20000", WATCHDOG_PID: `${process.pid}`, PATH: "/bin" };
    const manager = await serviceManager(env, quiet);
    // What this process starts must not speak for it.
    expect(env).toEqual({ PATH: "/bin" } as typeof env);
    expect(socket.received()).toEqual([]);
    manager.ready();
    await until("signs of life", () => socket.received().filter((line) => line === "WATCHDOG=1").length >= 3);
    manager.stopping();
    await until("the end", () => socket.received().at(-1) === "STOPPING=1");
    expect(socket.received()[0]).toBe("READY=1");
  });

  test("may listen on an abstract socket, and watch another process or none", async () => {
    using home = temporaryHome();
    await using socket = await notifySocket(home.path, `@dewey-test-${process.pid}`);
    const manager = await serviceManager(
      { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: "1000", WATCHDOG_PID: "1" },
      quiet,
    );
    manager.ready();
    manager.stopping();
    await until("both", () => socket.received().length === 2);
    expect(socket.received()).toEqual(["READY=1", "STOPPING=1"]);
  });
});

test("without a manager nobody is told, and one that cannot be reached is a warning", async () => {
  const lines: string[] = [];
  const log = createLog({ level: "warn", format: "text", write: (line) => void lines.push(line) });
  for (const env of [{}, { NOTIFY_SOCKET: "" }]) {
    const manager = await serviceManager(env, log);
    manager.ready();
    manager.stopping();
  }
  expect(lines).toEqual([]);
  if (process.platform !== "linux") return;
  (await serviceManager({ NOTIFY_SOCKET: `/${"x".repeat(200)}` }, log)).ready();
  (await serviceManager({ NOTIFY_SOCKET: "/nowhere/at/all" }, log)).ready();
  expect(lines).toHaveLength(2);
});
