import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binary } from "../support/binary.ts";
import { plainEnvironment } from "../support/home.ts";
import { isRunning } from "../support/processes.ts";
import { until } from "../support/rpc.ts";

// `dewey proxy --stdio -- COMMAND` behaves as the command.

let home: string;
const children: Bun.Subprocess[] = [];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "dewey-stand-in-"));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill("SIGKILL");
    await child.exited;
  }
  rmSync(home, { recursive: true, force: true });
});

/** Two seconds, with room for a slow machine: waiting for the calls and the command in full would take over thirty. */
const END_LIMIT_MS = 10_000;

const message = (rest: object) => JSON.stringify({ jsonrpc: "2.0", ...rest });
const call = message({ id: 1, method: "tools/call", params: { name: "slow" } });
const cancelled = message({ method: "notifications/cancelled", params: { requestId: 1 } });

/** A server that writes its pid, and then tells of each frame that it reads without ever answering one. */
const silent = `printf '{"jsonrpc":"2.0","method":"pid","params":"%s"}\\n' $$; while IFS= read -r frame; do echo '{"jsonrpc":"2.0","method":"read"}'; done`;

/** Starts the proxy in front of a shell script, or of another command. */
function standIn(...command: string[]) {
  const [first = ""] = command;
  const words = command.length > 1 ? command : ["sh", "-c", first];
  const args = ["proxy", "--stdio", "--data-dir", home, "--url", "ws://192.0.2.1:9", "--", ...words];
  const child = Bun.spawn([binary, ...args], {
    env: plainEnvironment(home),
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  children.push(child);
  const [stdout, stderr] = [collected(child.stdout), collected(child.stderr)];
  return {
    child,
    stdout,
    stderr,
    send: async (...frames: string[]) => {
      void child.stdin.write(frames.map((frame) => `${frame}\n`).join(""));
      await child.stdin.flush();
    },
    pid: async () => {
      const found = await until("the pid", () => /"params":"(\d+)"/.exec(stdout.text) ?? undefined);
      return Number(found[1]);
    },
  };
}

function collected(stream: ReadableStream<Uint8Array>) {
  const all = { text: "", over: Promise.resolve() };
  const decoder = new TextDecoder();
  all.over = (async () => {
    for await (const chunk of stream) all.text += decoder.decode(chunk, { stream: true });
  })();
  return all;
}

describe("a signal", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    for (const [state, frames] of [
      ["open", [call]],
      ["cancelled", [call, cancelled]],
    ] as const) {
      test(`${signal} ends proxy and command within two seconds while a call is ${state}`, async () => {
        const { child, stdout, send, pid } = standIn(silent);
        const command = await pid();
        await send(...frames);
        await until("the frames to arrive", () => stdout.text.split('"read"').length > frames.length);
        const startedMs = performance.now();
        child.kill(signal);
        expect(await child.exited).toBe(0);
        expect(performance.now() - startedMs).toBeLessThan(END_LIMIT_MS);
        await until("the end of the command", () => !isRunning(command));
      });
    }
  }

  test("ends a session that is ending because stdin has ended, and a command that ignores SIGTERM", async () => {
    const { child, stdout, send, pid } = standIn(`trap '' TERM; ${silent}; while :; do sleep 1; done`);
    const command = await pid();
    await send(call);
    await child.stdin.end();
    // The end of stdin follows the frame.
    await until("the frame to arrive", () => stdout.text.includes('"read"'));
    const startedMs = performance.now();
    child.kill("SIGTERM");
    await child.exited;
    expect(performance.now() - startedMs).toBeLessThan(END_LIMIT_MS);
    await until("the end of the command", () => !isRunning(command));
  });

  test("lets the command end by itself", async () => {
    const { child, stderr, pid } = standIn(
      `trap 'echo cleaned up >&2; exit 0' TERM; printf '{"jsonrpc":"2.0","method":"pid","params":"%s"}\\n' $$; while :; do sleep 0.05; done`,
    );
    await pid();
    child.kill("SIGTERM");
    await child.exited;
    await stderr.over;
    expect(stderr.text).toContain("cleaned up\n");
  });
});

test("a cancelled call does not hold the end of stdin up", async () => {
  const { child, send, pid } = standIn(silent);
  await pid();
  await send(call, cancelled);
  await child.stdin.end();
  const startedMs = performance.now();
  expect(await child.exited).toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(10_000);
});

test("stderr passes as it came, whatever bytes it has", async () => {
  const { child, stderr, pid } = standIn(
    `printf 'one\\r\\n\\033[31mred\\033[0m token=s3cret no end' >&2; printf '{"jsonrpc":"2.0","method":"pid","params":"%s"}\\n' $$; cat >/dev/null`,
  );
  await pid();
  await until("stderr", () => stderr.text.includes("no end"));
  expect(stderr.text).toContain("one\r\n\u{1b}[31mred\u{1b}[0m token=s3cret no end");
  expect(stderr.text).not.toContain('"event":"stderr"');
  await child.stdin.end();
});

describe("a command", () => {
  const initialize = message({ id: "i", method: "initialize", params: {} });

  test("that dies at its start ends with its exit code, and its last line on stderr is in the error", async () => {
    const { child, stdout, stderr, send } = standIn(
      "echo starting >&2; echo 'no API key is set' >&2; echo >&2; exit 7",
    );
    await send(initialize);
    expect(await child.exited).toBe(7);
    await Promise.all([stdout.over, stderr.over]);
    const { id, error } = JSON.parse(stdout.text) as { id: string; error: { message: string } };
    expect([id, error.message]).toEqual(["i", expect.stringMatching(/exit code 7: no API key is set$/)]);
    expect(stderr.text).toMatch(/dewey: .*exit code 7: no API key is set\n$/);
  });

  test("that is killed at its start ends with the code that shells have for it", async () => {
    const { child, send } = standIn("kill -KILL $$");
    await send(initialize);
    expect(await child.exited).toBe(137);
  });

  test("that does not exist ends with 127, and its name is in the error", async () => {
    const { child, stdout, stderr, send } = standIn("no-such-command-here", "argument");
    await send(initialize);
    expect(await child.exited).toBe(127);
    await Promise.all([stdout.over, stderr.over]);
    for (const text of [stdout.text, stderr.text]) expect(text).toContain("no-such-command-here");
    expect(stdout.text).toContain('"id":"i"');
  });

  test("that dies later is started again", async () => {
    const { child, stdout, send } = standIn(
      `read -r first; echo '{"jsonrpc":"2.0","id":"i","result":{"capabilities":{}}}'; read -r second; exit 3`,
    );
    await send(initialize);
    await until("the answer", () => stdout.text.includes('"result"'));
    await send(call);
    await until("the refusal", () => stdout.text.includes("exit code 3"));
    expect(child.exitCode).toBeNull();
    await child.stdin.end();
  });
});
