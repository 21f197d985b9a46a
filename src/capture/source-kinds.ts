import { amp } from "./amp.ts";
import { chatGpt } from "./chatgpt.ts";
import { claudeCode } from "./claude-code.ts";
import { claudeExport } from "./claude-export.ts";
import { claudeHistory } from "./claude-history.ts";
import { clineSession } from "./cline-session.ts";
import { cline } from "./cline.ts";
import { codexExec } from "./codex-exec.ts";
import { codexHistory } from "./codex-history.ts";
import { codexTitles } from "./codex-titles.ts";
import { codex } from "./codex.ts";
import { copilot } from "./copilot.ts";
import { cursorDatabase, cursorTranscript } from "./cursor.ts";
import { dewey } from "./dewey.ts";
import { geminiCheckpoint } from "./gemini-checkpoint.ts";
import { gemini, geminiLog } from "./gemini.ts";
import { goose, gooseDatabase } from "./goose.ts";
import { openCode, openCodeDatabase } from "./opencode.ts";
import { pi } from "./pi.ts";
import { qwen } from "./qwen.ts";
import type { Home } from "./home.ts";
import type { DatabaseKind, SourceKind } from "./source-kind.ts";
import { vsCodeChat } from "./vscode-chat.ts";
import { zedDatabase } from "./zed.ts";

/**
 * Every kind of source in files of text but a proxy's spool, in the order in which they are asked whether a file is theirs. The
 * more a kind's rows say of themselves, the earlier it is asked: others share Claude Code's envelope.
 */
export const sourceKinds: readonly SourceKind[] = [
  dewey,
  qwen,
  claudeCode,
  codex,
  codexTitles,
  codexHistory,
  codexExec,
  claudeHistory,
  gemini,
  geminiLog,
  geminiCheckpoint,
  copilot,
  vsCodeChat,
  pi,
  goose,
  cursorTranscript,
  clineSession,
  cline,
  openCode,
  amp,
  claudeExport,
  chatGpt,
];

/** Every kind of source that is a database. */
export const databaseKinds: readonly DatabaseKind[] = [openCodeDatabase, cursorDatabase, gooseDatabase, zedDatabase];

/** The prompts that a client notes beside its sessions, whose files are followed: both would tell a prompt twice. */
const histories: ReadonlySet<SourceKind> = new Set([codexHistory, claudeHistory, geminiLog]);

/** The databases in which clients keep their sessions, each once. */
export function sessionDatabases(home: Home): string[] {
  return [...new Set(databaseKinds.flatMap((kind) => kind.where(home)))];
}

/** The folders and files in which clients leave their sessions as files that grow, each once. */
export function sessionFolders(home: Home): string[] {
  const kinds = sourceKinds.filter((kind) => !histories.has(kind));
  return [...new Set(kinds.flatMap((kind) => kind.where?.(home) ?? []))];
}
