import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Pinned to the version of the recorded transcripts, so that a new release cannot fail a test. */
const VERSION = "2.1.197";
/** The download is 240 MB. */
const INSTALL_DEADLINE_MS = 180_000;

const folder = join(import.meta.dir, "../../node_modules/.cache/claude-code", VERSION);
const program = join(folder, `node_modules/@anthropic-ai/claude-code-${process.platform}-${process.arch}/claude`);

/** Installs the real Claude Code from npm, once. Returns undefined and prints the reason when that fails. */
export async function claudeCode(): Promise<string | undefined> {
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), "{}");
  const child = Bun.spawn([process.execPath, "add", "--ignore-scripts", `@anthropic-ai/claude-code@${VERSION}`], {
    cwd: folder,
    stdout: "ignore",
    stderr: "pipe",
    signal: AbortSignal.timeout(INSTALL_DEADLINE_MS),
  });
  const [complaint, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  if (code === 0 && existsSync(program)) return program;
  console.warn(
    `Claude Code ${VERSION} could not be installed, so the tests with it are skipped: ${complaint.trim().split("\n").at(-1)}`,
  );
  return undefined;
}
