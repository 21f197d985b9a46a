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

/** A setting that is misspelt would be passed over in silence. */
export function warnOfUnknownVariables(env: Invocation["env"], log: Log): void {
  for (const variable of unknownVariables(env))
    log.warn("this variable is no setting of Dewey; is it misspelt?", { variable });
}

/**
 * Calls `reload` at every SIGHUP. A process whose terminal was closed gets that signal too, and is to stop then, as it
 * would without this.
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
