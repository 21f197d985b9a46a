import { appendFileSync, mkdirSync, renameSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { HookQueue } from "../../capture/hook-queue.ts";
import { hookConfig, obeyed } from "../../config.ts";
import type { HookConfig } from "../../config.ts";
import { within } from "../../deadline.ts";
import { acquireLock } from "../../lock.ts";
import { createLog } from "../../log.ts";
import type { Log } from "../../log.ts";
import { Claims } from "../../proxy/spool/claims.ts";
import { MS_PER_DAY } from "../../units.ts";
import { isObject } from "../../wire/frame.ts";
import type { Json } from "../../wire/frame.ts";
import type { Command, Invocation } from "../command.ts";
import { lockFile, queueFolder, startDeliverer } from "../hook-delivery.ts";

// A client waits for its hooks at each step, so that this file and what it imports are kept small: what is needed only
// now and then is imported when it is needed.

/** The log is begun anew when it is larger than this; one older is kept. */
const MAX_LOG_BYTES = 1024 * 1024;
/** How long a session may be kept waiting for its startup context, when a server has to be started for it. */
const CONTEXT_DEADLINE_MS = 5000;
/** A deliverer stays so long for what comes next: it knows where it is in the transcripts. */
const IDLE_MS = 60_000;
/** How long a deliverer waits for a server that is away. What is left then waits for the next hook. */
const PATIENCE_MS = 600_000;
/** A tool is called right after it is claimed, or when a person has allowed it. */
const CLAIM_AGE_MS = MS_PER_DAY;

export const hook: Command = {
  name: "hook",
  summary: "what a client's hooks run: takes an event on stdin; dewey connect puts it in place",
  usage: ["dewey hook", "dewey hook --deliver"],
  about: [
    "Puts the event into a queue on disk and ends at once, with exit code 0 whatever happens: what goes wrong is a line in",
    "hook.log in the data folder. A process in the background (--deliver) brings what is queued to the server, together with",
    "the session's transcript, and ends when nothing comes any more. At the start of a session the startup context is",
    "printed, as the client takes it.",
  ].join("\n"),
  settings: obeyed.hook,
  flags: { deliver: { summary: "deliver what hooks have left, and wait a minute for more" } },
  operands: 0,
  async run(invocation) {
    const config = hookConfig(invocation);
    const log = fileLog(join(config.dataDir, "hook.log"), config);
    if (invocation.flags["deliver"] === true) return deliver(config, log, invocation.stopping);
    try {
      await takeEvent(config, invocation, log);
    } catch (error) {
      log.error("an event is lost", { error });
    }
    return 0;
  },
};

async function takeEvent(config: HookConfig, invocation: Invocation, log: Log): Promise<void> {
  const event: unknown = JSON.parse(await Bun.stdin.text());
  if (!isObject(event)) throw new Error("what came on stdin is no event");
  const { hook_event_name: name, tool_use_id: toolUseId } = event;
  if (name === "PreToolUse") {
    // The proxy that this call goes through leaves it to the event that follows it.
    if (typeof toolUseId === "string") new Claims(config.spoolDir).claim(toolUseId);
    return;
  }
  if (name === "SessionStart") return printContext(event, config, invocation, log);
  new HookQueue(queueFolder(config)).put(event);
  startDeliverer(config, invocation.env);
}

async function deliver(config: HookConfig, log: Log, stopping: AbortSignal): Promise<number> {
  const queue = new HookQueue(queueFolder(config));
  const [{ ToolClient }, { Deliverer }] = await Promise.all([
    import("../../tool-client.ts"),
    import("../../capture/deliverer.ts"),
  ]);
  // An event that comes while one deliverer ends is the next one's, or ours once more.
  do {
    const lock = acquireLock(lockFile(config));
    if (lock === undefined) return 0;
    const client = new ToolClient({ url: config.url, token: config.token });
    try {
      const call = (tool: string, args: Json) => client.call(tool, args);
      await new Deliverer({ queue, call, log, idleMs: IDLE_MS, patienceMs: PATIENCE_MS, stopping }).run();
      new Claims(config.spoolDir).sweep(CLAIM_AGE_MS);
    } catch (error) {
      log.warn("what hooks have left waits for the next hook", { error, waiting: queue.waiting().length });
      return 69;
    } finally {
      await client.close();
      lock.release();
    }
  } while (queue.waiting().length > 0 && !stopping.aborted);
  return 0;
}

/** What a session begins with: the context of its folder, or the active one. A session that is resumed has it already. */
async function printContext(event: Json, config: HookConfig, invocation: Invocation, log: Log): Promise<void> {
  if (event["source"] === "resume") return;
  const asked = startupContext(event, config, invocation, log);
  const context = await within(CONTEXT_DEADLINE_MS, asked, () => undefined);
  if (!isObject(context) || typeof context["content"] !== "string") return;
  const additionalContext = `Startup context "${String(context["name"])}", from Dewey:\n\n${context["content"]}`;
  invocation.print(`${JSON.stringify({ hookSpecificOutput: { hookEventName: "SessionStart", additionalContext } })}\n`);
}

async function startupContext(event: Json, config: HookConfig, invocation: Invocation, log: Log): Promise<unknown> {
  const { ToolClient } = await import("../../tool-client.ts");
  const { url, token, dataDir } = config;
  const folder = typeof event["cwd"] === "string" ? { folder: event["cwd"] } : {};
  const ask = async () => {
    const client = new ToolClient({ url, token });
    const reply = await client.call("dewey_get_startup_context", folder);
    await client.close();
    return reply["context"];
  };
  try {
    return await ask();
  } catch (error) {
    log.info("no server has answered a session's start; one is looked for", { error });
  }
  try {
    const { ensureLocalServer } = await import("../local-server.ts");
    await ensureLocalServer({ url, dataDir, env: invocation.env, log });
    return await ask();
  } catch (error) {
    log.warn("a session begins without its startup context", { error });
    return undefined;
  }
}

/** A client shows what a hook writes, or drops it; so it goes to a file. */
function fileLog(path: string, config: HookConfig): Log {
  return createLog({
    level: config.logLevel,
    format: "json",
    write(line) {
      try {
        mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
        if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > MAX_LOG_BYTES) renameSync(path, `${path}.1`);
        appendFileSync(path, line, { mode: 0o600 });
      } catch {
        // A log that cannot be written must not fail the client either.
      }
    },
  });
}
