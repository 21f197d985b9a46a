import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { sourcePlaces } from "../../capture/places.ts";
import type { Place } from "../../capture/places.ts";
import { DeweyError } from "../../errors.ts";
import { clientCommand, jsonText } from "../client-command.ts";
import { ImportRun } from "../import-run.ts";

export const importCommand = clientCommand({
  name: "import",
  summary: "imports transcripts and data exports of other programs",
  usage: ["dewey import [--watch] [--json] [PATH …]"],
  examples: ["dewey import", "dewey import --watch ~/.codex/sessions"],
  about: [
    "Without a PATH, imports every session found on this machine: Claude Code, Codex, Gemini CLI, Qwen Code, OpenCode,",
    "Copilot CLI, VS Code's chats, Cursor, Cline, Roo Code, Kilo Code, Goose, Zed, Pi and Amp, in their default folders or",
    "those that their variables name (CLAUDE_CONFIG_DIR, CODEX_HOME, …). A PATH is a file or a folder of any of these,",
    "`stream-json` output of Claude Code, that of `codex exec --json`, a chat saved in Gemini CLI, a session of Claude Code",
    "on the web, a data export of Claude or ChatGPT (the zip, or its content), the output of `dewey export --format jsonl`,",
    "or the spool of a proxy; plain, in UTF-16, or compressed with gzip or zstd. Databases of other programs are opened",
    "read-only, also while these run. The format is detected from the content. Importing again adds only what is new.",
    "Broken rows are skipped and reported with their line number; rows of unknown types are kept and counted. The exit code",
    "is 3 when something was not read, such as a broken row or link, or when the server failed to store it, and 1 when the",
    "server refused a message.",
  ].join(" "),
  flags: { watch: { summary: "keep importing what is added to the files, until Ctrl-C" } },
  operands: Infinity,
  async work(talk) {
    const { invocation, json, out } = talk;
    const given = [...invocation.operands, ...(invocation.rest ?? [])].map((path) => resolve(path));
    const missing = given.find((path) => !existsSync(path));
    if (missing !== undefined) throw new DeweyError("not_found", `there is no ${missing}`);
    const paths = given.length > 0 ? given : everything(invocation.env);
    const watch = invocation.flags["watch"] === true;
    const run = new ImportRun(talk, watch);
    await run.all(paths, given.length > 0);
    await out.write(json ? jsonText(run.values()) : run.summary());
    if (watch) await run.watch(paths);
    return run.exitCode;
  },
});

/** Every source on this machine. Throws `not_found`, with the places that were looked at, when there is none. */
function everything(env: Record<string, string | undefined>): string[] {
  const places = sourcePlaces(env);
  const paths = places.flatMap(({ found }) => found);
  if (paths.length > 0) return paths;
  const looked = places.map(({ name, looked }: Place) => `  ${name}: ${looked.join(", ")}`);
  throw new DeweyError(
    "not_found",
    `found nothing to import; name a file or folder (dewey import PATH). Looked in:\n${looked.join("\n")}`,
  );
}
