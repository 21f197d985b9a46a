import type { Json } from "../wire/frame.ts";
import { conversationId, derivedId, stated } from "./captured.ts";

// What Claude Code's hooks and transcripts tell alike: where, with what, and of which thing.

export const CLAUDE_CODE = "claude-code";

/** What Claude Code writes beside an agent's transcript, and what its file's name says. */
export interface AgentFacts {
  agentType?: unknown;
  description?: unknown;
  toolUseId?: unknown;
}

/** The conversation of a sub-agent. */
export function agentConversationId(session: string, agent: string): string {
  return derivedId(CLAUDE_CODE, session, "agent", agent);
}

/** Where and with what a session is held; hooks say it in other words. */
export function sessionFacts(row: Json): Json {
  return stated({
    source: CLAUDE_CODE,
    cwd: row["cwd"],
    branch: row["gitBranch"] === "" ? undefined : row["gitBranch"],
    client_version: row["version"],
  });
}

/** The ids of what both hooks and transcripts tell of: from whoever they come, it is stored once. */
export const sharedIds = {
  prompt: (conversation: string, promptId: string) => derivedId(conversation, "prompt", promptId),
  call: (conversation: string, toolUseId: string) => derivedId(conversation, "call", toolUseId),
  result: (conversation: string, toolUseId: string) => derivedId(conversation, "result", toolUseId),
  answer: (conversation: string, promptId: string, text: string, before: number) =>
    derivedId(conversation, "answer", promptId, text, `${before}`),
};

/** What tells a sub-agent's conversation from its session's, and ties it to it. */
export function agentFacts(session: string, agent: string | undefined, facts: AgentFacts = {}): Json {
  if (agent === undefined) return {};
  return stated({
    agent_id: agent,
    agent_type: facts.agentType,
    agent_task: facts.description,
    parent_conversation_id: conversationId(CLAUDE_CODE, session),
    parent_tool_use_id: facts.toolUseId,
  });
}
