import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { HookQueue } from "../../capture/hook-queue.ts";
import { hookConfig, proxyConfig } from "../../config.ts";
import { isObject } from "../../wire/frame.ts";
import type { Invocation } from "../command.ts";
import { readUpstreams } from "../configured-proxy.ts";
import { queueFolder } from "../hook-delivery.ts";
import { bytesText } from "../terminal.ts";
import { fault, note, ok, proxyHealth } from "./finding.ts";
import type { Finding } from "./finding.ts";

/** A queue that is older than this has no process delivering it. */
const LONGEST_WAIT_MS = 3_600_000;

export async function spool(invocation: Invocation): Promise<Finding> {
  const { folder } = proxyConfig(invocation).spool;
  const recorder = (await proxyHealth(invocation))?.["recorder"];
  if (isObject(recorder) && recorder["recording"] !== true) {
    return fault(
      `the proxy is not recording: ${String(recorder["not_recording_because"])}`,
      "what it relays until then is not recorded; free some space or start a server",
    );
  }
  const events = new HookQueue(queueFolder(hookConfig(invocation))).waiting();
  const files = [
    ...filesIn(folder)
      .filter((name) => name.endsWith(".spool"))
      .map((name) => join(folder, name)),
    ...events.map((name) => join(queueFolder(hookConfig(invocation)), name)),
  ].flatMap((path) => statSync(path, { throwIfNoEntry: false }) ?? []);
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  const oldestMs = Math.min(...files.map((file) => file.mtimeMs));
  const waiting = `${bytesText(bytes)} queued in ${folder}`;
  if (Date.now() - oldestMs < LONGEST_WAIT_MS || files.length === 0)
    return ok(files.length === 0 ? "nothing is queued" : waiting);
  const since = new Date(oldestMs).toISOString();
  return fault(
    `${waiting}, since ${since}`,
    "start a server (dewey serve), and the proxy (dewey proxy), which delivers it",
  );
}

export async function upstreams(invocation: Invocation): Promise<Finding> {
  const { byName, mistakes } = readUpstreams(proxyConfig(invocation), invocation.env);
  if (mistakes !== undefined) return fault(mistakes, "correct these entries, and reload the proxy (SIGHUP)");
  const health = await proxyHealth(invocation);
  const states = (Array.isArray(health?.["upstreams"]) ? health["upstreams"] : []).filter(isObject);
  const down = states.find((each) => each["state"] === "down");
  if (down) {
    return fault(`${String(down["name"])} is down: ${String(down["last_error"])}`, "start it, or correct its entry");
  }
  for (const upstream of byName.values()) {
    if (upstream.wire !== "stdio") continue;
    const { PATH = invocation.env["PATH"] } = upstream.env;
    const options = {
      ...(PATH === undefined ? {} : { PATH }),
      ...(upstream.cwd === undefined ? {} : { cwd: upstream.cwd }),
    };
    if (Bun.which(upstream.command, options) === null) {
      return fault(
        `the command of ${upstream.name}, ${upstream.command}, does not exist`,
        "install it, or correct its entry",
      );
    }
  }
  const names = [...byName.keys()].join(", ");
  return health ? ok(names) : note(`${names}; no proxy is running (start one with: dewey proxy)`);
}

function filesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}
