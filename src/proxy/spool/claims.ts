import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isObject } from "../../wire/frame.ts";
import type { FrameView } from "../../wire/frame.ts";

/** The keys in `_meta` under which Claude Code and Codex send the id of the tool use with every call. */
const TOOL_USE_KEYS = ["claudecode/toolUseId", "callId"];
/** Ids become file names, so only plain ones are accepted. */
const plainId = /^[\w-]{1,200}$/;

/**
 * The tool uses that a client's hooks record in the conversation of the client's own session. A hook claims a tool use
 * before the call is sent, and the proxy then leaves its record to the hooks, so that it is stored once. The proxy records
 * every call that is not claimed.
 */
export class Claims {
  readonly #folder: string;

  constructor(spoolDir: string) {
    this.#folder = join(spoolDir, "claims");
  }

  /** Claims a tool use. Ignores an id that is not plain. */
  claim(toolUseId: string): void {
    if (!plainId.test(toolUseId)) return;
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    writeFileSync(join(this.#folder, toolUseId), "");
  }

  /** Whether a frame holds a claimed call. Looks at the disk only for frames with a tool use id. */
  covers(view: FrameView): boolean {
    if (view.kind === "batch") return view.messages.some((each) => this.covers(each));
    if (view.kind !== "request" || !isObject(view.message["params"])) return false;
    const meta = view.message["params"]["_meta"];
    if (!isObject(meta)) return false;
    const ids = TOOL_USE_KEYS.map((key) => meta[key]).filter((id) => typeof id === "string" && plainId.test(id));
    return ids.some((id) => existsSync(join(this.#folder, String(id))));
  }

  /** Removes claims older than this: their calls were made long ago, or never will be. */
  sweep(olderThanMs: number): void {
    if (!existsSync(this.#folder)) return;
    for (const name of readdirSync(this.#folder)) {
      const path = join(this.#folder, name);
      if (Date.now() - statSync(path).mtimeMs > olderThanMs) rmSync(path, { force: true });
    }
  }
}
