import { describe, expect, test } from "bun:test";
import { commandLine, resumeCommand } from "../../../src/cli/commands/resume.ts";

const id = "3f2a91c4-1b7e-4d5a-9c3e-000000000001";
const from = { conversation_id: id, client: "claude-code", session_id: "a1b2-c3", parent_id: null, metadata: {} };

describe("a session is continued", () => {
  test("by the command of the client it came from", () => {
    expect(resumeCommand(from)).toEqual(["claude", "--resume", "a1b2-c3"]);
    expect(resumeCommand({ ...from, client: "codex" })).toEqual(["codex", "resume", "a1b2-c3"]);
    expect(resumeCommand({ ...from, client: "gemini" })).toEqual(["gemini", "--resume", "a1b2-c3"]);
    const opencode = { ...from, client: "opencode", session_id: "ses_7f" };
    expect(resumeCommand(opencode)).toEqual(["opencode", "--session", "ses_7f"]);
  });

  test("but not where there is none to continue, and the error says why", () => {
    for (const [facts, reason] of [
      [{ client: "chatgpt" }, "came from chatgpt; only sessions of"],
      [{ client: "constructor" }, "came from constructor"],
      [{ client: null }, "came from no known client"],
      [{ parent_id: id }, `dewey resume ${id}`],
      [{ metadata: { upstream: "files" } }, "recording of MCP calls"],
      [{ session_id: null }, "does not say which session"],
    ] as const)
      expect(() => resumeCommand({ ...from, ...facts })).toThrow(reason);
  });

  test("never with a stored text that the client would take for a flag", () => {
    for (const session_id of ["--dangerously-skip-permissions", "-p", "a b", "a;b", "a\n", ""])
      expect(() => resumeCommand({ ...from, session_id })).toThrow("does not say which session");
  });

  test("with a line that a shell reads as the same words", () => {
    const folder = "/tmp/it's a $(folder)";
    expect(commandLine(["echo", "--resume", "a b"], null)).toBe("echo --resume 'a b'");
    const line = commandLine(["printf", "%s|", "it's", "$HOME"], null);
    expect(Bun.spawnSync(["/bin/sh", "-c", line]).stdout.toString()).toBe("it's|$HOME|");
    expect(commandLine(["codex"], folder)).toBe(String.raw`cd -- '/tmp/it'\''s a $(folder)' && codex`);
  });
});
