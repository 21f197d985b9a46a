import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { HookQueue } from "../../capture/hook-queue.ts";
import { hookConfig, proxyConfig } from "../../config.ts";
import { isObject } from "../../wire/frame.ts";
import type { Invocation } from "../command.ts";
import { readUpstreams } from "../configured-proxy.ts";
import { queueFolder } from "../hook-delivery.ts";
import { whyUnreachable } from "../health.ts";
import { bytesText, counted } from "../terminal.ts";
import { fault, note, ok, proxyHealth } from "./finding.ts";
import type { Finding } from "./finding.ts";

/** A queue that is older than this has no process delivering it. */
const LONGEST_WAIT_MS = 3_600_000;
/** Hooks have their events delivered at once; a busy machine takes longer. */
const DELIVERY_MS = 60_000;

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
  const tokenless = await eventsWithoutToken(invocation, events);
  if (tokenless) return tokenless;
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

/** Events that wait although the server runs, because it wants a token that the clients' hooks do not have. */
async function eventsWithoutToken(invocation: Invocation, events: string[]): Promise<Finding | undefined> {
  const config = hookConfig(invocation);
  const [oldest] = events.flatMap((name) => statSync(join(queueFolder(config), name), { throwIfNoEntry: false }) ?? []);
  if (oldest === undefined || Date.now() - oldest.mtimeMs < DELIVERY_MS) return undefined;
  const refused = await whyUnreachable({ url: config.url, token: undefined });
  if (refused?.code !== "unauthorized") return undefined;
  return fault(
    `${counted(events.length, "event")} of hooks ${events.length === 1 ? "waits" : "wait"}: the server wants a token, which the client's hooks do not have`,
    "start the client with DEWEY_TOKEN or DEWEY_TOKEN_FILE set, such as in ~/.profile; its next hook delivers them",
  );
}

export async function upstreams(invocation: Invocation): Promise<Finding> {
  const config = proxyConfig(invocation);
  const { byName, mistakes } = readUpstreams(config, invocation.env);
  if (mistakes !== undefined) return fault(mistakes, "correct these entries, and reload the proxy (SIGHUP)");
  const health = await proxyHealth(invocation);
  const found = (names: string) => (health ? ok(names) : note(`${names}; no proxy is running (dewey up runs one)`));
  // Those that there are without a file are of no interest to a person who has named none.
  if (config.configFile === undefined) return found("none is configured");
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
  return found([...byName.keys()].join(", "));
}

function filesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}
