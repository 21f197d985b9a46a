import { npmProgram } from "./npm-program.ts";

/** Installs the real Claude Code, of the version of the recorded transcripts. Returns undefined when that fails. */
export function claudeCode(): Promise<string | undefined> {
  return npmProgram({
    name: "Claude Code",
    package: "@anthropic-ai/claude-code",
    version: "2.1.197",
    file: `@anthropic-ai/claude-code-${process.platform}-${process.arch}/claude`,
  });
}
