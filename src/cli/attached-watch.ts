import type { Subprocess } from "bun";
import type { ServeConfig } from "../config.ts";
import { within } from "../deadline.ts";
import type { Log } from "../log.ts";
import type { Invocation } from "./command.ts";
import { selfCommand } from "./self.ts";

/** How long the process may take to end; it may be amid a large file. */
const STOP_DEADLINE_MS = 1000;

/**
 * Follows the sessions of all agents in a process of its own, so that reading them delays no call, and a fault in them ends
 * no server. The process ends with this one, whatever ends it.
 */
export function startAttachedWatch(
  config: Pick<ServeConfig, "dataDir" | "watch">,
  url: string,
  env: Invocation["env"],
  log: Log,
): AsyncDisposable {
  if (!config.watch) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  const child: Subprocess<"pipe", "ignore", "inherit"> = Bun.spawn(
    [...selfCommand(), "watch", "--attached", "--url", url, "--data-dir", config.dataDir],
    { env, stdin: "pipe", stdout: "ignore", stderr: "inherit" },
  );
  void child.exited.then((code) => {
    if (code !== 0 && !child.killed) log.warn("the sessions of agents are no longer followed", { code });
  });
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      const isGone = child.exited.then(() => true);
      // What it has not stored yet, the next one reads again.
      if (!(await within(STOP_DEADLINE_MS, isGone, () => false))) child.kill("SIGKILL");
      await child.exited;
    },
  };
}
