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
