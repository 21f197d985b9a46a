import { closeSync } from "node:fs";
import { constants } from "node:os";
import { within } from "../deadline.ts";
import { DeweyError } from "../errors.ts";
import type { Log } from "../log.ts";
import { LineLink } from "./line-link.ts";
import type { Link } from "./link.ts";
import { isMessage } from "./outline.ts";
import { LastLine, LineQuotes, logStderr, passStderr } from "./stderr.ts";

/** How long a child may take to exit after its stdin has ended, and again after SIGTERM. */
const END_GRACE_MS = 2000;
/** How long it may take to exit after SIGTERM when we are ended ourselves: clients kill a command after two seconds. */
const HURRIED_GRACE_MS = 300;
/** Shells report a command that a signal ended as this plus the signal's number. */
const SIGNAL_EXIT_CODE = 128;
/** How long the end of a child's stderr is waited for once the child has exited: others may hold it open. */
const LAST_STDERR_MS = 500;

/**
 * A shell between us and the child that passes stdin, stdout and stderr through. It watches a pipe from us on descriptor 3:
 * when this process ends, even by kill -9, the pipe closes and the shell ends the child's process group, first with SIGTERM.
 * Shells exist everywhere; Linux's parent-death signal does not, and does not reach grandchildren. The shell outlives a
 * SIGTERM to the group, so that the child has its time to end by itself.
 */
const GUARD = `
trap : TERM
exec 4<&0 </dev/null
"$@" <&4 4<&- 3<&- & child=$!
{ trap '' TERM; exec 4<&-; read -r _ <&3; kill -TERM -$$; sleep ${END_GRACE_MS / 1000}; kill -KILL -$$; } >/dev/null 2>&1 &
watch=$!
exec 4<&- 3<&-
wait "$child"; status=$?
while kill -0 "$child" 2>/dev/null; do wait "$child"; status=$?; done
kill -KILL "$watch" 2>/dev/null
exit "$status"`;

export interface SpawnOptions {
  command: string;
  args: string[];
  env: Record<string, string>;
  cwd?: string | undefined;
  log: Log;
  /** Present when we stand in for the command towards the client that started us. */
  standIn?: StandIn | undefined;
}

/** What a client expects of a command that it has started. */
export interface StandIn {
  /** Takes the command's stderr, as it comes; otherwise each line is logged. */
  stderr(chunk: Uint8Array): Promise<void>;
  /** Resolves when the command must end soon. */
  hurry: Promise<void>;
}

type Child = Bun.Subprocess<"pipe", "pipe", "pipe">;

/**
 * Starts a command whose stdin and stdout carry frames. When the link closes, or this process ends,
 * its process group ends. Throws `not_found` when the command does not exist.
 */
export function spawnStdio(options: SpawnOptions): Link {
  const { command } = options;
  const path = Bun.which(command, { PATH: options.env["PATH"] ?? "", ...(options.cwd ? { cwd: options.cwd } : {}) });
  if (path === null) throw new DeweyError("not_found", `the command ${JSON.stringify(command)} does not exist`);
  let child: Child;
  try {
    child = Bun.spawn(["/bin/sh", "-c", GUARD, "sh", path, ...options.args], {
      env: options.env,
      ...(options.cwd ? { cwd: options.cwd } : {}),
      stdio: ["pipe", "pipe", "pipe", "pipe"],
      // Its own process group, so that it can be ended as a whole, and Ctrl-C in our terminal does not reach it first.
      detached: true,
    });
  } catch (cause) {
    throw new DeweyError("unavailable", `${JSON.stringify(command)} cannot be started: ${(cause as Error).message}`, {
      cause,
    });
  }
  return childLink(child, options);
}

function childLink(child: Child, { command, log, standIn }: SpawnOptions): Link {
  const last = new LastLine();
  const quotes = new LineQuotes();
  const stderr = standIn
    ? passStderr(child.stderr, last, (chunk) => standIn.stderr(chunk))
    : logStderr(child.stderr, log, command);
  const link = new LineLink({
    input: child.stdout,
    output: child.stdin,
    end: () => endChild(child, standIn?.hurry),
    async reason() {
      // A child that has closed its stdout but does not exit is of no use any more.
      await within(END_GRACE_MS, child.exited, () => {});
      void endChild(child, standIn?.hurry);
      await within(LAST_STDERR_MS, stderr, () => {});
      return [endOf(child, command), last.text].filter(Boolean).join(": ");
    },
    exitCode: () => exitCodeOf(child),
    isFrame: isMessage,
    onNoise: (bytes, line) =>
      log.warn("a line on the command's stdout is not a frame; it is not relayed", {
        command,
        bytes,
        line: quotes.shown(line),
      }),
    onFailure: (error) => log.warn("a pipe of the command failed", { command, error }),
  });
  void child.exited.then(() => {
    const [, , , guardPipe] = child.stdio;
    if (typeof guardPipe === "number") closeSync(guardPipe);
    // Processes that the child has left behind are ended too.
    killGroup(child, "SIGKILL");
  });
  return link;
}

function endOf(child: Child, command: string): string {
  if (child.signalCode !== null) return `${JSON.stringify(command)} was killed by ${child.signalCode}`;
  if (child.exitCode !== null) return `${JSON.stringify(command)} ended with exit code ${child.exitCode}`;
  return `${JSON.stringify(command)} closed its stdout`;
}

/** The exit code as shells have it; undefined while the child runs. */
function exitCodeOf(child: Child): number | undefined {
  const { exitCode, signalCode } = child;
  if (exitCode !== null) return exitCode;
  return signalCode === null ? undefined : SIGNAL_EXIT_CODE + constants.signals[signalCode as NodeJS.Signals];
}

/** Ends a child as MCP says: closes its stdin, then sends SIGTERM, then SIGKILL; in a hurry it waits less for each. */
async function endChild(child: Child, hurry: Promise<void> = new Promise(() => {})): Promise<void> {
  void endInput(child);
  await within(END_GRACE_MS, Promise.race([child.exited, hurry]), () => {});
  if (!hasEnded(child)) killGroup(child, "SIGTERM");
  const hurried = hurry.then(() => Bun.sleep(HURRIED_GRACE_MS));
  await within(END_GRACE_MS, Promise.race([child.exited, hurried]), () => {});
  if (!hasEnded(child)) killGroup(child, "SIGKILL");
}

function hasEnded(child: Child): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Closes the child's stdin. This may never finish when the child has stopped reading. */
async function endInput(child: Child): Promise<void> {
  try {
    await child.stdin.end();
  } catch {
    // The child has closed its stdin already.
  }
}

function killGroup(child: Child, signal: NodeJS.Signals): void {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group has already ended.
  }
}

/** This process's stdin and stdout, for commands that a client starts. Nothing else may write to stdout. */
export function ownStdio(log: Log): Link {
  const output = Bun.stdout.writer();
  return new LineLink({
    input: Bun.stdin.stream(),
    output,
    end: () => void output.end(),
    reason: () => Promise.resolve("its stdin has ended"),
    onNoise: (bytes) => log.warn("a line on stdin is not a frame; it is not relayed", { bytes }),
    onFailure: (error) => log.warn("stdin or stdout failed", { error }),
  });
}
