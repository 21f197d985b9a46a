import { chownSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

// Starting PostgreSQL with its own programs, as a person would: the bound for a server that embeds it.

/** The user PostgreSQL runs as: it refuses root. */
const NOBODY = { uid: 65_534, gid: 65_534 };
const environment = { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };

/** Unpacks the engine with tar, creates a cluster with initdb and starts it. Returns the time that took. */
export async function freshStartMs(tar: string, folder: string): Promise<number> {
  const owner = process.getuid?.() === 0 ? NOBODY : undefined;
  const startedMs = performance.now();
  const [programs, cluster] = [join(folder, "programs"), join(folder, "cluster")];
  for (const each of [programs, cluster]) mkdirSync(each);
  if (owner) chownSync(cluster, owner.uid, owner.gid);
  await run(["tar", "-C", programs, "-xf", tar]);
  const locale = ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"];
  await run([join(programs, "bin/initdb"), "-D", cluster, "-U", "dewey", "-A", "trust", ...locale], owner);
  return performance.now() - startedMs + (await startMs(programs, cluster));
}

/** Starts a cluster that Dewey made and no Dewey uses. Returns the time until it accepts connections. */
export function knownStartMs(home: string): Promise<number> {
  const folder = join(home, "data/postgres");
  const found = (pattern: RegExp) => join(folder, readdirSync(folder).find((name) => pattern.test(name)) ?? "");
  return startMs(found(/^engine-/), found(/^data-\d+$/));
}

async function startMs(programs: string, cluster: string): Promise<number> {
  const { uid, gid } = statSync(cluster);
  const startedMs = performance.now();
  const settings = ["listen_addresses=", `unix_socket_directories=${cluster}`].flatMap((setting) => ["-c", setting]);
  const child = Bun.spawn([join(programs, "bin/postgres"), "-D", cluster, ...settings], {
    env: environment,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    ...(process.getuid?.() === 0 ? { uid, gid } : {}),
  });
  let text = "";
  for await (const chunk of child.stderr) {
    text += new TextDecoder().decode(chunk);
    if (text.includes("ready to accept connections")) break;
  }
  const ms = performance.now() - startedMs;
  child.kill("SIGINT");
  if ((await child.exited) !== 0) throw new Error(`PostgreSQL by hand: ${text}`);
  return ms;
}

async function run(command: string[], user?: { uid: number; gid: number }): Promise<void> {
  const child = Bun.spawn(command, { env: environment, stdin: "ignore", stdout: "ignore", stderr: "pipe", ...user });
  const [errors, exitCode] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${errors}`);
}

/** The embedded engine as a plain tar. */
export async function engineTar(folder: string): Promise<string> {
  const archive = Bun.file(join(import.meta.dir, "../../../dist/engine/postgres.tar.zst"));
  const file = join(folder, "engine.tar");
  writeFileSync(file, Bun.zstdDecompressSync(await archive.bytes()));
  return file;
}
