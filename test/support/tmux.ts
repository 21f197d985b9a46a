import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runMark } from "./leftovers.ts";
import { until } from "./rpc.ts";

/** tmux is a real terminal that a test can look at; without it such tests are skipped. */
export const tmux = Bun.which("tmux");
if (tmux === null) console.warn("tmux is not installed: what a terminal shows is not tested (apt-get install tmux)");

export interface Screen {
  /** What the terminal shows, as text, or with the sequences of its colours. */
  text(): string;
  coloured(): string;
  /** Everything that was written to the terminal so far, whether it stayed or not. */
  written(): string;
  /** Waits until the screen matches, and answers what it shows. */
  until(pattern: RegExp): Promise<string>;
  type(...keys: string[]): void;
  [Symbol.dispose](): void;
}

/** A terminal of its own that runs a command line; it stays when the command has ended, showing "[ended N]". */
export function openTerminal(command: string[], env: Record<string, string>, columns = 80, rows = 24): Screen {
  const folder = mkdtempSync(join(tmpdir(), "dewey-tmux-"));
  const control = (...args: string[]) => {
    const child = Bun.spawnSync(["tmux", "-S", join(folder, "socket"), "-f", "/dev/null", ...args], {
      env: { PATH: process.env["PATH"] ?? "", LC_ALL: "C.UTF-8", HOME: folder, ...runMark() },
      stderr: "pipe",
    });
    if (child.exitCode !== 0) throw new Error(`tmux ${args[0]} failed: ${child.stderr.toString()}`);
    return child.stdout.toString();
  };
  const variables = Object.entries({ LC_ALL: "C.UTF-8", ...env }).map(([name, value]) => `${name}=${value}`);
  // The shell has Ctrl-C trapped, so that it outlives the command; the command itself gets it as usual.
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
    written: () => readFileSync(join(folder, "written"), "utf8"),
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
