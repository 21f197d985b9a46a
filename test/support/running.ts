import { PATIENCE_MS } from "./patience.ts";

/** A program that a test has started. */
export interface Running {
  process: Bun.Subprocess<"ignore", "pipe", "pipe">;
  /** All output so far. */
  stdout(): string;
  stderr(): string;
  /** Waits until the output so far matches and returns the match. Throws when the process exits first. */
  until(stream: "stdout" | "stderr", pattern: RegExp): Promise<RegExpExecArray>;
  /** Signals it to stop and resolves to its exit code. */
  stop(signal?: NodeJS.Signals): Promise<number>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts a program. */
export function startProgram(program: string, args: string[], env: Record<string, string>, cwd?: string): Running {
  const child = Bun.spawn([program, ...args], {
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    ...(cwd === undefined ? {} : { cwd }),
  });
  const outputs = { stdout: collect(child.stdout), stderr: collect(child.stderr) };
  const running: Running = {
    process: child,
    stdout: () => outputs.stdout.text,
    stderr: () => outputs.stderr.text,
    until: (stream, pattern) => untilMatch(child, outputs[stream], pattern, outputs.stderr),
    async stop(signal = "SIGTERM") {
      child.kill(signal);
      return child.exited;
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) await running.stop();
    },
  };
  return running;
}

interface Collected {
  text: string;
  changed: Promise<void>;
}

function collect(stream: ReadableStream<Uint8Array>): Collected {
  let wake = () => {};
  const next = () => new Promise<void>((resolve) => (wake = resolve));
  const collected: Collected = { text: "", changed: next() };
  void (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      collected.text += decoder.decode(chunk, { stream: true });
      const woken = wake;
      collected.changed = next();
      woken();
    }
    const woken = wake;
    // The stream has ended: without this, later waits would spin on a settled promise.
    collected.changed = new Promise(() => {});
    woken();
  })();
  return collected;
}

async function untilMatch(
  child: Bun.Subprocess,
  output: Collected,
  pattern: RegExp,
  errors: Collected,
): Promise<RegExpExecArray> {
  const deadline = Bun.sleep(PATIENCE_MS).then(() => "deadline" as const);
  for (;;) {
    const match = pattern.exec(output.text);
    if (match) return match;
    const happened = await Promise.race([output.changed, child.exited.then(() => "exited" as const), deadline]);
    if (happened === undefined) continue;
    const last = pattern.exec(output.text);
    if (last) return last;
    throw new Error(
      `the process ${happened === "exited" ? "exited" : "still runs"} without printing ${pattern}:\n${errors.text}`,
    );
  }
}
