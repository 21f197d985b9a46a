import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The downloads have up to 240 MB. */
const INSTALL_DEADLINE_MS = 180_000;

/** A program of a package, pinned so that a new release cannot fail a test. */
export interface NpmProgram {
  /** As people call it. */
  name: string;
  /** The package as it is asked for, and its version. */
  package: string;
  version: string;
  /** The program's file within `node_modules`. */
  file: string;
}

/** Installs a program from npm, once. Returns its path, or undefined after printing the reason when that fails. */
export async function npmProgram({ name, package: wanted, version, file }: NpmProgram): Promise<string | undefined> {
  const folder = join(import.meta.dir, "../../node_modules/.cache", name.toLowerCase().replaceAll(" ", "-"), version);
  const program = join(folder, "node_modules", file);
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), "{}");
  const child = Bun.spawn([process.execPath, "add", "--ignore-scripts", `${wanted}@${version}`], {
    cwd: folder,
    stdout: "ignore",
    stderr: "pipe",
    signal: AbortSignal.timeout(INSTALL_DEADLINE_MS),
  });
  const [complaint, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  if (code === 0 && existsSync(program)) return program;
  const reason = complaint.trim().split("\n").at(-1);
  console.warn(`${name} ${version} could not be installed, so the tests with it are skipped: ${reason}`);
  return undefined;
}
