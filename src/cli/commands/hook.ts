import { appendFileSync, mkdirSync, renameSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { HookQueue } from "../../capture/hook-queue.ts";
import { hookConfig, obeyed } from "../../config.ts";
import type { HookConfig } from "../../config.ts";
import { contextHeading } from "../../context-heading.ts";
import { within } from "../../deadline.ts";
import { acquireLock } from "../../lock.ts";
import { createLog } from "../../log.ts";
import type { Log } from "../../log.ts";
import { Claims } from "../../proxy/spool/claims.ts";
import type { AuthoredContext } from "../../store/contexts.ts";
import { MS_PER_DAY } from "../../units.ts";
import { escapedJson } from "../../visible.ts";
import { isObject } from "../../wire/frame.ts";
import type { ToolClient } from "../../tool-client.ts";
import type { Json } from "../../wire/frame.ts";
import type { Command, Invocation } from "../command.ts";
import { lockFile, queueFolder, startDeliverer } from "../hook-delivery.ts";

// A client waits for its hooks at each step, so this file imports little: rarely needed modules are imported when they are
// needed.

/** The log is rotated when it exceeds this size; one older file is kept. */
const MAX_LOG_BYTES = 1024 * 1024;
/** Time limit for a startup context, for which a server may have to be started: the session waits for it. */
const CONTEXT_DEADLINE_MS = 5000;
/** A deliverer waits this long for the next event, because it knows its position in the transcripts. */
const IDLE_MS = 60_000;
/** A deliverer waits this long for a server that is down. Events left then wait for the next hook. */
const PATIENCE_MS = 600_000;
/** Claims older than this are removed: a tool is called right after its claim, or once the user has allowed it. */
const CLAIM_AGE_MS = MS_PER_DAY;

export const hook: Command = {
  name: "hook",
  summary: "takes an event of a client's hook on stdin; dewey connect installs it",
  usage: ["dewey hook [--client NAME]", "dewey hook --deliver"],
  examples: ["dewey hook < event.json"],
  about: [
    "Queues the event on disk and ends at once, always with exit code 0; failures are logged to hook.log in the data folder.",
    "A background process (--deliver) sends the queued events to the server, together with the session's transcript, and",
    "ends when no more arrive. At the start of a session it prints, in the client's format, the startup context and where the",
    "last sessions in its folder ended; DEWEY_DIGEST=off omits the latter.",
  ].join(" "),
  settings: obeyed.hook,
  flags: {
    client: { value: "NAME", summary: "whose event it is: claude-code (the default), codex or gemini" },
    deliver: { summary: "deliver the queued events, and wait a minute for more" },
  },
  operands: 0,
  async run(invocation) {
    const config = hookConfig(invocation);
    const log = fileLog(join(config.dataDir, "hook.log"), config);
    if (invocation.flags["deliver"] === true) return deliver(config, log, invocation.stopping);
    try {
      await takeEvent(config, invocation, log);
    } catch (error) {
      log.error("lost an event", { error });
    }
    return 0;
  },
};

async function takeEvent(config: HookConfig, invocation: Invocation, log: Log): Promise<void> {
  const event: unknown = JSON.parse(await Bun.stdin.text());
  if (!isObject(event)) throw new Error("stdin holds no event");
  const { hook_event_name: name, tool_use_id: toolUseId } = event;
  if (name === "PreToolUse") {
    // The proxy that relays this call then leaves its recording to the event that follows.
    if (typeof toolUseId === "string") new Claims(config.spoolDir).claim(toolUseId);
    return;
  }
  if (name === "SessionStart") return printBeginning(event, config, invocation, log);
  const { client } = invocation.flags;
  new HookQueue(queueFolder(config)).put(event, typeof client === "string" ? client : undefined);
  startDeliverer(config, invocation.env);
}

async function deliver(config: HookConfig, log: Log, stopping: AbortSignal): Promise<number> {
  const queue = new HookQueue(queueFolder(config));
  const [{ ToolClient }, { Deliverer }] = await Promise.all([
    import("../../tool-client.ts"),
    import("../../capture/deliverer.ts"),
  ]);
  // An event that arrives while a deliverer ends is left to the next one, or to another round of this one.
  do {
    const lock = acquireLock(lockFile(config));
    if (lock === undefined) return 0;
    const client = new ToolClient({ url: config.url, token: config.token });
    try {
      const call = (tool: string, args: Json) => client.call(tool, args);
      await new Deliverer({ queue, call, log, idleMs: IDLE_MS, patienceMs: PATIENCE_MS, stopping }).run();
      new Claims(config.spoolDir).sweep(CLAIM_AGE_MS);
    } catch (error) {
      log.warn("queued events wait for the next hook", { error, waiting: queue.waiting().length });
      return 69;
    } finally {
      await client.close();
      lock.release();
    }
  } while (queue.waiting().length > 0 && !stopping.aborted);
  return 0;
}

/**
 * Prints what a session begins with: the startup context of its folder, or the active one, and where the last sessions there
 * ended. A resumed session has both already; one that is compacted only needs the first again.
 */
async function printBeginning(event: Json, config: HookConfig, invocation: Invocation, log: Log): Promise<void> {
  if (event["source"] === "resume") return;
  const { context, digest } = await within(CONTEXT_DEADLINE_MS, beginningOf(event, config, invocation, log), () => ({
    context: undefined,
    digest: undefined,
  }));
  const parts = [context && `${contextHeading(context)}\n\n${context.content}`, digest].filter(Boolean);
  if (parts.length === 0) return;
  const additionalContext = parts.join("\n\n");
  const output = { hookSpecificOutput: { hookEventName: "SessionStart", additionalContext } };
  invocation.print(`${escapedJson(JSON.stringify(output))}\n`);
}

interface Beginning {
  context: AuthoredContext | undefined;
  digest: string | undefined;
}

async function beginningOf(event: Json, config: HookConfig, invocation: Invocation, log: Log): Promise<Beginning> {
  const { ToolClient } = await import("../../tool-client.ts");
  const { url, token, dataDir } = config;
  const folder = typeof event["cwd"] === "string" ? { folder: event["cwd"] } : {};
  const ask = async (): Promise<Beginning> => {
    const client = new ToolClient({ url, token });
    try {
      const { context } = await client.call("dewey_get_startup_context", folder);
      const digest = await digestOf(event, client, config, log);
      return { context: (context ?? undefined) as AuthoredContext | undefined, digest };
    } finally {
      await client.close();
    }
  };
  try {
    return await ask();
  } catch (error) {
    log.info("no server answered at a session's start; starting one", { error });
  }
  try {
    const { ensureLocalServer } = await import("../local-server.ts");
    await ensureLocalServer({ url, token, dataDir, env: invocation.env, log });
    return await ask();
  } catch (error) {
    log.warn("a session starts without its startup context", { error });
    return { context: undefined, digest: undefined };
  }
}

/** Where the last sessions in a new session's folder ended. A compacted session has it in its summary. */
async function digestOf(event: Json, client: ToolClient, config: HookConfig, log: Log): Promise<string | undefined> {
  const { cwd, source, session_id: session } = event;
  if (!config.digest || typeof cwd !== "string" || source === "compact") return undefined;
  try {
    const own = typeof session === "string" ? { session } : {};
    const { digest } = await client.call("dewey_last_sessions", { folder: cwd, ...own });
    return typeof digest === "string" ? digest : undefined;
  } catch (error) {
    // An older server does not know the tool. The startup context matters more.
    log.warn("a session starts without a digest of the last ones", { error });
    return undefined;
  }
}

/** A log in a file, because clients show or discard the output of hooks. */
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
        // A log that cannot be written must not make the hook fail.
      }
    },
  });
}
