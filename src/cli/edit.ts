import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { terminalConfig } from "../config.ts";
import { withoutEnd } from "../ends.ts";
import { DeweyError } from "../errors.ts";
import { leaveInterruptsToChild } from "./output.ts";

/** A text that the user has edited. */
interface Edited {
  text: string;
  /** Its file, kept until `discard` removes it, so that a later failure does not lose the user's work. */
  place: string;
  discard(): void;
}

/** Opens the text in the user's editor. Throws `unavailable` when the editor does not start or fails. */
export async function editText(text: string, name: string, env: Record<string, string | undefined>): Promise<Edited> {
  const { editor } = terminalConfig(env);
  const folder = mkdtempSync(join(tmpdir(), "dewey-edit-"));
  const place = join(folder, `${name.replaceAll(/[^\w.-]/g, "_").slice(0, 100)}.md`);
  writeFileSync(place, text === "" ? "" : `${text}\n`, { mode: 0o600, flag: "wx" });
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
    throw new DeweyError("unavailable", `the editor (${editor}) exited with code ${code}; nothing was changed`);
  }
  return { text: withoutLineEnds(readFileSync(place, "utf8")), place, discard };
}

/** The text on stdin. */
export async function pipedText(): Promise<string> {
  return withoutLineEnds(await Bun.stdin.text());
}

/** The text without the line ends that editors and `echo` append. */
function withoutLineEnds(text: string): string {
  return withoutEnd(text, "\r\n");
}
