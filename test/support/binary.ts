import { dirname, join } from "node:path";
import type { Connection } from "../../src/store/database/connection.ts";
import { staleness } from "./freshness.ts";
import { plainEnvironment } from "./home.ts";
import { startProgram } from "./running.ts";
import type { Running } from "./running.ts";

const root = join(import.meta.dir, "../..");

/** The compiled binary, as `bun run build` makes it. */
export const binary = join(root, "dist/dewey");

// A test that passes on a stale binary proves nothing about the source.
const complaint = staleness(binary, [join(root, "src"), join(root, "sql")]);
if (complaint !== undefined) throw new Error(complaint);

export type { Running } from "./running.ts";

/** The environment with the binary on the PATH, last, as where it is installed: hints name it by its path otherwise. */
export function withBinary(env: Record<string, string>): Record<string, string> {
  const { PATH } = env;
  return { ...env, PATH: PATH === undefined ? dirname(binary) : `${PATH}:${dirname(binary)}` };
}

/** Starts the binary, or another program instead. */
export function start(args: string[], env: Record<string, string>, cwd?: string, program = binary): Running {
  return startProgram(program, args, withBinary(env), cwd);
}

/** Runs the binary until it exits. */
export async function run(args: string[], env: Record<string, string>) {
  const child = Bun.spawn([binary, ...args], { env: withBinary(env), stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout, stderr, code };
}

/** Starts `dewey serve` on a free port with a data folder of its own; returns its WebSocket address. */
export async function startServe(home: string, env: Record<string, string> = {}, args: string[] = []) {
  const running = start(["serve", "--port", "0", "--data-dir", join(home, "data"), ...args], {
    ...plainEnvironment(home),
    ...env,
  });
  const [, url = ""] = await running.until("stderr", /"event":"serving","url":"([^"]+)"/);
  return { running, url };
}

/** The `DEWEY_DATABASE_URL` of a database behind a Unix socket, where PostgreSQL asks for no password. */
export function databaseAddress({ host, user, database }: Connection, password = "none"): string {
  return `postgres://${user}:${password}@${encodeURIComponent(host)}/${database}`;
}
