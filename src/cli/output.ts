/** The reader of our output has gone: a pager that was quit, or `head` with all it wanted. That is no failure. */
export class OutputClosed extends Error {}

/** Where a command writes what it was asked for. Each write waits for the reader, so nothing piles up and nothing is lost. */
export interface Output {
  /** Throws `OutputClosed` when nobody reads any more. */
  write(text: string): Promise<void>;
  /** Resolves when all is read; for a pager, when the person has left it. */
  close(): Promise<void>;
}

/** `process.stdout` would not do: what a pipe has not taken when the process exits is lost with it. */
export function standardOutput(): Output {
  const writer = Bun.stdout.writer();
  return {
    async write(text) {
      await unlessClosed(async () => {
        await writer.write(text);
        await writer.flush();
      });
    },
    close: () => Promise.resolve(),
  };
}

/** Through the person's pager, which gets the terminal until it is left. */
export function pagedOutput(pager: string, env: Record<string, string | undefined>): Output {
  leaveInterruptsToChild();
  const child = Bun.spawn(["/bin/sh", "-c", pager], {
    // As git does it: colours pass, short texts are printed without staying in the pager.
    env: { LESS: "FRX", ...env },
    stdin: "pipe",
    stdout: "inherit",
    stderr: "inherit",
  });
  return {
    async write(text) {
      await unlessClosed(async () => {
        await child.stdin.write(text);
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

/** Ctrl-C belongs to the program that has the terminal: ended by it, we would leave that program without one. */
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
