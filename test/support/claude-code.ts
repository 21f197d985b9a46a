import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The version that the recorded talk is of, so that a new one cannot fail a test of ours. */
const VERSION = "2.1.197";
/** 240 MB from the registry. */
const INSTALL_DEADLINE_MS = 180_000;

const folder = join(import.meta.dir, "../../node_modules/.cache/claude-code", VERSION);
const program = join(folder, `node_modules/@anthropic-ai/claude-code-${process.platform}-${process.arch}/claude`);

/** The real Claude Code, from npm; undefined, with a word on why, when it cannot be had. It is kept for the next run. */
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
    `Claude Code ${VERSION} cannot be had, so that the talk with it is not tested: ${complaint.trim().split("\n").at(-1)}`,
  );
  return undefined;
}
