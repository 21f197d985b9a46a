import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";

/** The downloads have up to 100 MB. */
const INSTALL_DEADLINE_MS = 180_000;

/** A program of a package of PyPI, pinned so that a new release cannot fail a test. */
export interface PythonProgram {
  package: string;
  version: string;
  /** The command that the package brings. */
  command: string;
}

/** Installs a program from PyPI, once. Returns its path, or undefined after printing the reason when that fails. */
export async function pythonProgram({ package: name, version, command }: PythonProgram): Promise<string | undefined> {
  const folder = join(import.meta.dir, "../../node_modules/.cache", name, version);
  const program = join(folder, "bin", command);
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  const complaint =
    (await complaintOf("python3", "-m", "venv", folder)) ??
    (await complaintOf(join(folder, "bin/pip"), "install", "--quiet", `${name}==${version}`));
  if (complaint === undefined && existsSync(program)) return program;
  console.warn(`${name} ${version} could not be installed, so the tests with it are skipped: ${complaint}`);
  return undefined;
}

async function complaintOf(...command: string[]): Promise<string | undefined> {
  if (Bun.which(command[0] ?? "") === null) return `there is no ${command[0]}`;
  const signal = AbortSignal.timeout(INSTALL_DEADLINE_MS);
  const child = Bun.spawn(command, { stdout: "ignore", stderr: "pipe", signal });
  const [complaint, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  return code === 0 ? undefined : (complaint.trim().split("\n").at(-1) ?? `it exits with ${code}`);
}
