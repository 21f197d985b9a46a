import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** How Claude Code names its tool uses in the calls that it sends. It comes with every call, and its ids are plain. */
const toolUse = /"claudecode\/toolUseId"\s*:\s*"([\w-]{1,200})"/;
const TOOL_USE_KEY = '"claudecode/toolUseId"';

/**
 * Tool uses that a client's hooks record, in the conversation of the client's own session. A hook claims each before it is
 * called; the proxy leaves what is claimed to the hooks, so that a tool use is stored once. What nobody claims is the
 * proxy's to record, whatever it carries.
 */
export class Claims {
  readonly #folder: string;

  constructor(spoolDir: string) {
    this.#folder = join(spoolDir, "claims");
  }

  /** Only for an id as tool uses have it: it becomes a file's name. */
  claim(toolUseId: string): void {
    if (!/^[\w-]{1,200}$/.test(toolUseId)) return;
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    writeFileSync(join(this.#folder, toolUseId), "");
  }

  /** Whether a frame is a call that is claimed. Frames without such an id cost a search for its key, and no look at the disk. */
  covers(frame: string): boolean {
    const at = frame.indexOf(TOOL_USE_KEY);
    if (at === -1) return false;
    const [, id] = toolUse.exec(frame.slice(at, at + TOOL_USE_KEY.length + 300)) ?? [];
    return id !== undefined && existsSync(join(this.#folder, id));
  }

  /** Forgets claims that are older: their calls have long been made, or never will be. */
  sweep(olderThanMs: number): void {
    if (!existsSync(this.#folder)) return;
    for (const name of readdirSync(this.#folder)) {
      const path = join(this.#folder, name);
      if (Date.now() - statSync(path).mtimeMs > olderThanMs) rmSync(path, { force: true });
    }
  }
}
