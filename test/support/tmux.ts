import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withBinary } from "./binary.ts";
import { runEnvironment } from "./leftovers.ts";
import { until } from "./rpc.ts";

/** tmux provides a real terminal whose screen a test can read; without it, such tests are skipped. */
export const tmux = Bun.which("tmux");
if (tmux === null)
  console.warn("tmux is not installed, so tests of terminal output are skipped (apt-get install tmux)");

/** Columns that no line with a path of this machine fills. */
export const WIDE = 400;

export interface Screen {
  /** The screen as plain text, or with colour escape sequences. */
  text(): string;
  coloured(): string;
  /** Waits until the command has exited and returns all its output, including what has been overwritten. */
  written(): Promise<string>;
  /** Waits until the screen matches and returns its text. */
  until(pattern: RegExp): Promise<string>;
  type(...keys: string[]): void;
  [Symbol.dispose](): void;
}

/**
 * Runs a command in a new terminal, which stays open when the command exits and then shows "[ended N]". The terminal wraps
 * longer lines: a test that expects a path of this machine asks for `WIDE` columns.
 */
export function openTerminal(command: string[], env: Record<string, string>, columns = 80, rows = 24): Screen {
  const folder = mkdtempSync(join(tmpdir(), "dewey-tmux-"));
  const control = (...args: string[]) => {
    const child = Bun.spawnSync(["tmux", "-S", join(folder, "socket"), "-f", "/dev/null", ...args], {
      env: { PATH: process.env["PATH"] ?? "", LC_ALL: "C.UTF-8", HOME: folder, ...runEnvironment() },
      stderr: "pipe",
    });
    if (child.exitCode !== 0) throw new Error(`tmux ${args[0]} failed: ${child.stderr.toString()}`);
    return child.stdout.toString();
  };
  const variables = Object.entries({ LC_ALL: "C.UTF-8", ...withBinary(env) }).map(
    ([name, value]) => `${name}=${value}`,
  );
  // The shell traps Ctrl-C so that it outlives the command; the command receives it as usual.
  const inside = ["/bin/sh", "-c", 'trap : INT; "$@"; printf "[ended %s]" "$?"; exec sleep 1000', "sh", ...command];
  control(
    "new-session",
    "-d",
    "-x",
    `${columns}`,
    "-y",
    `${rows}`,
    "env",
    "-i",
    "TERM=screen",
    ...variables,
    ...inside,
    ";",
    "pipe-pane",
    `cat > ${join(folder, "written")}`,
  );
  const screen: Screen = {
    text: () => control("capture-pane", "-p"),
    coloured: () => control("capture-pane", "-p", "-e"),
    written() {
      // tmux shows output before the process that writes the file has received it.
      const file = join(folder, "written");
      const output = () => (existsSync(file) ? readFileSync(file, "utf8") : "");
      return until("the command's exit in its output", () => /\[ended \d+\]/.test(output()) && output());
    },
    async until(pattern) {
      try {
        return await until(`${pattern} on the screen`, () => pattern.test(screen.text()) && screen.text());
      } catch (error) {
        throw new Error(`${(error as Error).message}; it shows:\n${screen.text()}`, { cause: error });
      }
    },
    type: (...keys) => void control("send-keys", ...keys),
    [Symbol.dispose]() {
      control("kill-server");
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return screen;
}
