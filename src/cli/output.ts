import { visiblePainted } from "../visible.ts";

/** The reader of the output has gone: the user quit the pager, or `head` has read enough. This is not a failure. */
export class OutputClosed extends Error {}

/**
 * Where a command writes its results. Each write waits for the reader, so that output is neither buffered nor lost. Hidden
 * characters are replaced by their names, except Dewey's own colours; JSON must come with its own escapes (`jsonLine`).
 */
export interface Output {
  /** Throws `OutputClosed` when the reader has gone. */
  write(text: string): Promise<void>;
  /** Resolves when everything has been read; for a pager, when the user has quit it. */
  close(): Promise<void>;
}

/** Stdout. `process.stdout` would lose what a pipe has not yet taken when the process exits. */
export function standardOutput(): Output {
  const writer = Bun.stdout.writer();
  return {
    async write(text) {
      await unlessClosed(async () => {
        await writer.write(visiblePainted(text));
        await writer.flush();
      });
    },
    close: () => Promise.resolve(),
  };
}

/** The user's pager, which owns the terminal until the user quits it. */
export function pagedOutput(pager: string, env: Record<string, string | undefined>): Output {
  leaveInterruptsToChild();
  const child = Bun.spawn(["/bin/sh", "-c", pager], {
    // As git does: keep colours, and exit at once if the text fits on the screen.
    env: { LESS: "FRX", ...env },
    stdin: "pipe",
    stdout: "inherit",
    stderr: "inherit",
  });
  return {
    async write(text) {
      await unlessClosed(async () => {
        await child.stdin.write(visiblePainted(text));
        await child.stdin.flush();
      });
    },
    async close() {
      await unlessClosed(async () => {
        await child.stdin.end();
      });
      await child.exited;
    },
  };
}

/** Ignores Ctrl-C, which is meant for the child that owns the terminal: exiting would leave it without one. */
export function leaveInterruptsToChild(): void {
  process.removeAllListeners("SIGINT");
  process.on("SIGINT", () => {});
}

async function unlessClosed(write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EPIPE") throw new OutputClosed();
    throw error;
  }
}
