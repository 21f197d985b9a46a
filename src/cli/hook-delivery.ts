import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { HookQueue } from "../capture/hook-queue.ts";
import type { HookConfig } from "../config.ts";
import { acquireLock } from "../lock.ts";
import type { Log } from "../log.ts";
import type { Invocation } from "./command.ts";
import { selfCommand } from "./self.ts";

/** The folders of the queue, and the server that it is for. */
export type HookPlaces = Pick<HookConfig, "url" | "dataDir" | "spoolDir">;

/** Delivers events left from when no server ran; called by other commands. Never throws. */
export function deliverLeft(config: HookPlaces, env: Invocation["env"], log: Log): void {
  try {
    if (new HookQueue(queueFolder(config)).waiting().length > 0) startDeliverer(config, env);
  } catch (error) {
    log.warn("cannot deliver the events that hooks have queued", { error });
  }
}

/** Starts a background process that delivers, unless one is running. It outlives this process. */
export function startDeliverer(config: HookPlaces, env: Invocation["env"]): void {
  const lock = acquireLock(lockFile(config));
  if (lock === undefined) return;
  lock.release();
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const output = openSync(join(config.dataDir, "hook.log"), "a", 0o600);
  const { url, dataDir, spoolDir } = config;
  const flags = ["--url", url, "--data-dir", dataDir, "--spool-dir", spoolDir];
  Bun.spawn([...selfCommand(), "hook", "--deliver", ...flags], {
    // Not the client's working folder, which could then not be unmounted.
    cwd: dataDir,
    env,
    stdin: "ignore",
    stdout: "ignore",
    stderr: output,
    detached: true,
  }).unref();
  closeSync(output);
}

/** The folder where hooks queue their events. */
export function queueFolder(config: HookPlaces): string {
  return join(config.spoolDir, "hooks");
}

export function lockFile(config: HookPlaces): string {
  mkdirSync(queueFolder(config), { recursive: true, mode: 0o700 });
  return join(queueFolder(config), "deliver.lock");
}
