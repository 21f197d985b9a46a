import { closeSync, openSync, readSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { isObject } from "../wire/frame.ts";
import type { Beside } from "./beside.ts";
import type { AgentFacts, Place } from "./claude-code-facts.ts";

/** How far above a sub-agent's file its session's is sought: `SESSION/subagents/workflows/NAME/`. */
const MAX_LEVELS = 5;
/** How much of a session's file is read at once, and of a line that is longer, kept. */
const CHUNK_BYTES = 1024 * 1024;
const MAX_LINE_BYTES = 4 * 1024 * 1024;
const NEWLINE = 0x0a;
/** In every row that names an agent. */
const AGENT_FIELD = '"agentId"';
/** Sessions whose calls are remembered: an import reads a few at once, each with its agents. */
const MAX_REMEMBERED = 4;

/** The calls that started the agents of the sessions that were last asked for. */
const remembered = new Map<string, Map<string, string>>();

/**
 * What Claude Code writes beside a sub-agent's transcript, else what its session's transcript says of it.
 */
export function agentFactsBeside(path: string, place: Place, beside: Beside): AgentFacts {
  const facts = beside.json(path.replace(/\.jsonl$/, ".meta.json"));
  if (isObject(facts) && facts["toolUseId"] !== undefined) return facts;
  return { ...(isObject(facts) ? facts : {}), ...callOf(path, place, beside) };
}

function callOf(path: string, { session, agent }: Place, beside: Beside): AgentFacts {
  const transcript = sessionFile(path, session, beside);
  const calls = transcript === undefined ? undefined : beside.read(transcript, () => callsIn(transcript));
  const toolUseId = calls?.get(agent ?? "");
  return toolUseId === undefined ? {} : { toolUseId };
}

function sessionFile(path: string, session: string, beside: Beside): string | undefined {
  let folder = dirname(path);
  for (let level = 0; level < MAX_LEVELS; level += 1, folder = dirname(folder)) {
    const candidate = join(folder, `${session}.jsonl`);
    if (candidate === path) continue;
    if (beside.isThere(candidate)) return candidate;
  }
  return undefined;
}

/** The tool use that started each agent, from the results that name both. */
function callsIn(path: string): Map<string, string> {
  const { size, mtimeMs } = statSync(path);
  const name = `${path} ${size} ${mtimeMs}`;
  const known = remembered.get(name);
  if (known !== undefined) return known;
  const calls = new Map<string, string>();
  const file = openSync(path, "r");
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    let unfinished = Buffer.alloc(0);
    for (let bytes = readSync(file, chunk); bytes > 0; bytes = readSync(file, chunk)) {
      const text = Buffer.concat([unfinished, chunk.subarray(0, bytes)]);
      const end = text.lastIndexOf(NEWLINE) + 1;
      noteCalls(text.subarray(0, end), calls);
      unfinished = text.length - end > MAX_LINE_BYTES ? Buffer.alloc(0) : text.subarray(end);
    }
    noteCalls(unfinished, calls);
  } finally {
    closeSync(file);
  }
  const [oldest] = remembered.keys();
  if (remembered.size >= MAX_REMEMBERED && oldest !== undefined) remembered.delete(oldest);
  remembered.set(name, calls);
  return calls;
}

/** Notes what whole lines say. Most name no agent and are not decoded. */
function noteCalls(lines: Buffer, calls: Map<string, string>): void {
  for (let at = lines.indexOf(AGENT_FIELD); at !== -1;) {
    const start = lines.lastIndexOf(NEWLINE, at) + 1;
    const newline = lines.indexOf(NEWLINE, at);
    const end = newline === -1 ? lines.length : newline;
    noteCall(lines.toString("utf8", start, end), calls);
    at = lines.indexOf(AGENT_FIELD, end);
  }
}

function noteCall(line: string, calls: Map<string, string>): void {
  if (!line.includes('"toolUseResult"')) return;
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
