import { closeSync } from "node:fs";
import { within } from "../deadline.ts";
import { DeweyError } from "../errors.ts";
import type { Log } from "../log.ts";
import { LineLink } from "./line-link.ts";
import type { Link } from "./link.ts";
import { logStderr } from "./stderr.ts";

/** How long a child may take to end by itself when its stdin has ended, and again when it was told to terminate. */
const END_GRACE_MS = 2000;

/**
 * Stands between us and a child, with the child's own stdin, stdout and stderr passed through. It watches a pipe from
 * us on descriptor 3: when we are gone, even by kill -9, the pipe ends and the child's whole process group is ended,
 * first kindly. A shell is everywhere; Linux's parent-death signal is not, and does not reach grandchildren.
 */
const GUARD = `
exec 4<&0 </dev/null
"$@" <&4 4<&- 3<&- & child=$!
{ trap '' TERM; exec 4<&-; read -r _ <&3; kill -TERM -$$; sleep ${END_GRACE_MS / 1000}; kill -KILL -$$; } >/dev/null 2>&1 &
watch=$!
exec 4<&- 3<&-
wait "$child"; status=$?
kill -KILL "$watch" 2>/dev/null
exit "$status"`;

export interface SpawnOptions {
  command: string;
  args: string[];
  env: Record<string, string>;
  cwd?: string | undefined;
  log: Log;
}

type Child = Bun.Subprocess<"pipe", "pipe", "pipe">;

/**
 * Starts a command whose stdin and stdout carry frames. Its stderr goes to the log. When the link is closed, or we end,
 * its whole process group ends. Throws `not_found` when there is no such command.
 */
export function spawnStdio(options: SpawnOptions): Link {
  const { command, log } = options;
  const path = Bun.which(command, { PATH: options.env["PATH"] ?? "", ...(options.cwd ? { cwd: options.cwd } : {}) });
  if (path === null) throw new DeweyError("not_found", `there is no command ${JSON.stringify(command)} to start`);
  let child: Child;
  try {
    child = Bun.spawn(["/bin/sh", "-c", GUARD, "sh", path, ...options.args], {
      env: options.env,
      ...(options.cwd ? { cwd: options.cwd } : {}),
      stdio: ["pipe", "pipe", "pipe", "pipe"],
      // A process group of its own: it is ended as a whole, and Ctrl-C in our terminal does not reach it before us.
      detached: true,
    });
  } catch (cause) {
    throw new DeweyError("unavailable", `${JSON.stringify(command)} cannot be started: ${(cause as Error).message}`, {
      cause,
    });
  }
  return childLink(child, command, log);
}

function childLink(child: Child, command: string, log: Log): Link {
  const link = new LineLink({
    input: child.stdout,
    output: child.stdin,
    end: () => void endChild(child),
    async reason() {
      // A child that has closed its stdout and does not end is of no more use.
      await within(END_GRACE_MS, child.exited, () => {});
      void endChild(child);
      return endOf(child, command);
    },
    onNoise: (bytes) => log.warn("a line on the command's stdout is no frame; it is not passed on", { command, bytes }),
    onFailure: (error) => log.warn("a pipe of the command failed", { command, error }),
  });
  void logStderr(child.stderr, log, command);
  void child.exited.then(() => {
    const [, , , guardPipe] = child.stdio;
    if (typeof guardPipe === "number") closeSync(guardPipe);
    // What the child has started and left behind goes with it.
    killGroup(child, "SIGKILL");
  });
  return link;
}

function endOf(child: Child, command: string): string {
  if (child.signalCode !== null) return `${JSON.stringify(command)} was ended by ${child.signalCode}`;
  if (child.exitCode !== null) return `${JSON.stringify(command)} has ended with exit code ${child.exitCode}`;
  return `${JSON.stringify(command)} has closed its stdout`;
}

/** As MCP asks for: close its stdin, then terminate it, then kill it. */
async function endChild(child: Child): Promise<void> {
  void endInput(child);
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    const ended = await within(END_GRACE_MS, child.exited, () => "late" as const);
    if (ended !== "late") return;
    killGroup(child, signal);
  }
}

/** A child that reads no more never takes what is on its way to it, and need not be waited for. */
async function endInput(child: Child): Promise<void> {
  try {
    await child.stdin.end();
  } catch {
    // It has closed its stdin itself.
  }
}

function killGroup(child: Child, signal: NodeJS.Signals): void {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group has ended already.
  }
}

/** This process's own stdin and stdout, for commands that a client starts. Nothing else may write to stdout then. */
export function ownStdio(log: Log): Link {
  const output = Bun.stdout.writer();
  return new LineLink({
    input: Bun.stdin.stream(),
    output,
    end: () => void output.end(),
    reason: () => Promise.resolve("its stdin has ended"),
    onNoise: (bytes) => log.warn("a line on stdin is no frame; it is not passed on", { bytes }),
    onFailure: (error) => log.warn("stdin or stdout failed", { error }),
  });
}
