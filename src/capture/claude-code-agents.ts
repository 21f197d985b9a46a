import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { LineSplitter } from "../lines.ts";
import { isObject } from "../wire/frame.ts";
import type { AgentFacts, Place } from "./claude-code-facts.ts";

/** How far above a sub-agent's file its session's is sought: `SESSION/subagents/workflows/NAME/`. */
const MAX_LEVELS = 5;
/** How much of a session's file is read at once, and of a line that is longer, kept. */
const CHUNK_BYTES = 1024 * 1024;
const MAX_LINE_BYTES = 4 * 1024 * 1024;

/** The calls that started a session's agents; of the last session that was asked for, since its agents come together. */
let known: { name: string; calls: Map<string, string> } = { name: "", calls: new Map() };

/** What Claude Code writes beside a sub-agent's transcript, else what its session's transcript says of it. */
export function agentFactsBeside(path: string, place: Place): AgentFacts {
  try {
    const facts: unknown = JSON.parse(readFileSync(path.replace(/\.jsonl$/, ".meta.json"), "utf8"));
    if (isObject(facts) && facts["toolUseId"] !== undefined) return facts;
    return { ...(isObject(facts) ? facts : {}), ...callOf(path, place) };
  } catch {
    return callOf(path, place);
  }
}

function callOf(path: string, { session, agent }: Place): AgentFacts {
  const transcript = sessionFile(path, session);
  const toolUseId = transcript === undefined ? undefined : callsIn(transcript).get(agent ?? "");
  return toolUseId === undefined ? {} : { toolUseId };
}

function sessionFile(path: string, session: string): string | undefined {
  let folder = dirname(path);
  for (let level = 0; level < MAX_LEVELS; level += 1, folder = dirname(folder)) {
    const candidate = join(folder, `${session}.jsonl`);
    if (candidate !== path && existsSync(candidate)) return candidate;
  }
  return undefined;
}

/** The tool use that started each agent, from the results that name both. */
function callsIn(path: string): Map<string, string> {
  const { size, mtimeMs } = statSync(path);
  const name = `${path} ${size} ${mtimeMs}`;
  if (known.name === name) return known.calls;
  const calls = new Map<string, string>();
  const file = openSync(path, "r");
  try {
    const splitter = new LineSplitter(MAX_LINE_BYTES);
    const buffer = Buffer.alloc(CHUNK_BYTES);
    for (let bytes = readSync(file, buffer); bytes > 0; bytes = readSync(file, buffer))
      for (const { text } of splitter.push(buffer.subarray(0, bytes))) noteCall(text, calls);
    noteCall(splitter.unfinished.text, calls);
  } finally {
    closeSync(file);
  }
  known = { name, calls };
  return calls;
}

function noteCall(line: string, calls: Map<string, string>): void {
  if (!line.includes('"toolUseResult"') || !line.includes('"agentId"')) return;
  try {
    const row: unknown = JSON.parse(line);
    const result = isObject(row) ? row["toolUseResult"] : undefined;
    const agent = isObject(result) ? result["agentId"] : undefined;
    const message = isObject(row) && isObject(row["message"]) ? row["message"]["content"] : undefined;
    const blocks: unknown[] = Array.isArray(message) ? message : [];
    const block = blocks.filter(isObject).find((each) => each["type"] === "tool_result");
    if (typeof agent === "string" && isObject(block) && typeof block["tool_use_id"] === "string")
      calls.set(agent, block["tool_use_id"]);
  } catch {
    // A broken row names no agent; the import of the session tells it.
  }
}
