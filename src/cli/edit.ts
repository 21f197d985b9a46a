import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { terminalConfig } from "../config.ts";
import { DeweyError } from "../errors.ts";
import { leaveInterruptsToChild } from "./output.ts";

/** A text that a person has edited. */
interface Edited {
  text: string;
  /** Where it lies, until `discard` removes it: what somebody has written is not lost to a failure afterwards. */
  place: string;
  discard(): void;
}

/** Opens the person's editor on the text. Throws `unavailable` when it cannot be opened or ends with a failure. */
export async function editText(text: string, name: string, env: Record<string, string | undefined>): Promise<Edited> {
  const { editor } = terminalConfig(env);
  const folder = mkdtempSync(join(tmpdir(), "dewey-edit-"));
  const place = join(folder, `${name.replaceAll(/[^\w.-]/g, "_").slice(0, 100)}.md`);
  writeFileSync(place, text === "" ? "" : `${text}\n`, { mode: 0o600 });
  leaveInterruptsToChild();
  const child = Bun.spawn(["/bin/sh", "-c", `${editor} "$1"`, "sh", place], {
    env,
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  });
  const discard = () => rmSync(folder, { recursive: true, force: true });
  const code = await child.exited;
  if (code !== 0) {
    discard();
    throw new DeweyError("unavailable", `the editor (${editor}) ended with ${code}; nothing was changed`);
  }
  return { text: withoutEnd(readFileSync(place, "utf8")), place, discard };
}

/** The text that another program gives on stdin. */
export async function pipedText(): Promise<string> {
  return withoutEnd(await Bun.stdin.text());
}

/** Without the line ends that editors and `echo` put behind a text. */
function withoutEnd(text: string): string {
  return text.replace(/[\r\n]+$/, "");
}
