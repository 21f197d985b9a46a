import { chatGpt } from "./chatgpt.ts";
import { claudeCode } from "./claude-code.ts";
import { claudeExport } from "./claude-export.ts";
import { claudeHistory } from "./claude-history.ts";
import { codex } from "./codex.ts";
import { dewey } from "./dewey.ts";
import type { SourceKind } from "./source-kind.ts";

/** Every kind of source but a proxy's spool, in the order in which they are asked whether a file is theirs. */
export const sourceKinds: readonly SourceKind[] = [dewey, claudeCode, codex, claudeHistory, claudeExport, chatGpt];
