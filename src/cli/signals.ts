import { closeSync, openSync } from "node:fs";
import { unknownVariables } from "../config.ts";
import type { Log } from "../log.ts";
import type { Invocation } from "./command.ts";

/** Resolves when the process is asked to stop. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Warns of variables that look like misspelt settings, which would otherwise be ignored silently. */
export function warnOfUnknownVariables(env: Invocation["env"], log: Log): void {
  for (const variable of unknownVariables(env))
    log.warn("this variable is not a setting of Dewey; is it misspelt?", { variable });
}

/**
 * Calls `reload` at every SIGHUP. The kernel sends that signal also when the terminal closes; the process then stops, as it
 * would without this handler.
 */
export function onHangUp(reload: () => void): void {
  const hadTerminal = hasTerminal();
  process.on("SIGHUP", () => {
    if (hadTerminal && !hasTerminal()) process.kill(process.pid, "SIGTERM");
    else reload();
  });
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch {
    return false;
  }
}
