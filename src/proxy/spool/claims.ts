import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isObject } from "../../wire/frame.ts";
import type { FrameView } from "../../wire/frame.ts";

/** How Claude Code names its tool uses in the `_meta` of the calls that it sends. It comes with every call. */
const TOOL_USE_KEY = "claudecode/toolUseId";
/** Its ids are plain, and become files' names. */
const plainId = /^[\w-]{1,200}$/;

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
    if (!plainId.test(toolUseId)) return;
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    writeFileSync(join(this.#folder, toolUseId), "");
  }

  /** Whether a frame is a call that is claimed. Frames without such an id cost no look at the disk. */
  covers(view: FrameView): boolean {
    if (view.kind === "batch") return view.messages.some((each) => this.covers(each));
    if (view.kind !== "request" || !isObject(view.message["params"])) return false;
    const meta = view.message["params"]["_meta"];
    const id = isObject(meta) ? meta[TOOL_USE_KEY] : undefined;
    return typeof id === "string" && plainId.test(id) && existsSync(join(this.#folder, id));
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
