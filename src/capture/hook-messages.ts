import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { toolCall, toolResult } from "./blocks.ts";
import { derivedId, shallow, stated } from "./captured.ts";
import type { CapturedMessage } from "./captured.ts";
import { Names, placeId, sessionFacts } from "./claude-code-facts.ts";
import type { Place } from "./claude-code-facts.ts";
import type { HookEvent } from "./hook-queue.ts";

/** The conversation that an event belongs to, and where its transcript is. */
export interface EventPlace extends Place {
  conversation: string;
  /** Undefined when the event names none. */
  transcript: string | undefined;
}

export function placeOf(event: Json): EventPlace | undefined {
  const { session_id, agent_id, transcript_path, agent_transcript_path } = event;
  if (typeof session_id !== "string" || session_id === "") return undefined;
  const session = typeof transcript_path === "string" ? transcript_path : undefined;
  const agent = typeof agent_id === "string" ? agent_id : undefined;
  if (agent === undefined) {
    const place = { session: session_id, agent };
    return { ...place, conversation: placeId(place), transcript: session };
  }
  const transcript =
    typeof agent_transcript_path === "string"
      ? agent_transcript_path
      : session?.replace(/\.jsonl$/, `/subagents/agent-${agent}.jsonl`);
  const place = { session: session_id, agent };
  return { ...place, conversation: placeId(place), transcript };
}

/**
 * What an event tells of, as the transcript tells it, with the same ids. It is stored from here only when the transcript
 * does not have it, because the transcript knows more and has all in order.
 */
export function eventMessages({ event, time, id }: HookEvent, place: Place): CapturedMessage[] {
  const names = new Names(place);
  const { hook_event_name: name, prompt, prompt_id, last_assistant_message: answer } = event;
  // The transcript may tell a result in other words: that is no second version of it.
  const common = { ...sessionFacts(event), event: name, provisional: true };
  const message = (fields: Omit<CapturedMessage, "created_at">): CapturedMessage => ({
    ...fields,
    created_at: time,
    metadata: { ...common, ...fields.metadata },
  });
  if (name === "UserPromptSubmit" && typeof prompt === "string") {
    const message_id = typeof prompt_id === "string" ? names.prompt(prompt_id).id : derivedId(placeId(place), id);
    return [message({ message_id, role: "user", content: prompt || "(empty)", metadata: { kind: "prompt" } })];
  }
  if ((name === "Stop" || name === "SubagentStop") && typeof answer === "string" && answer !== "") {
    const { id: message_id } = names.answer(typeof prompt_id === "string" ? prompt_id : "", answer, 0);
    return [message({ message_id, role: "assistant", content: answer, metadata: { kind: "answer" } })];
  }
  if (name === "PostToolUse" || name === "PostToolUseFailure") return toolMessages(event, names).map(message);
  return [];
}

function toolMessages(event: Json, names: Names): Omit<CapturedMessage, "created_at">[] {
  const { tool_name, tool_use_id, tool_input, tool_response, error, duration_ms } = event;
  if (typeof tool_name !== "string" || typeof tool_use_id !== "string") return [];
  const call = toolCall(tool_name, tool_use_id, tool_input);
  const failed = event["hook_event_name"] === "PostToolUseFailure";
  const result = failed
    ? { content: String(error), metadata: {} }
    : toolResult(tool_name, responseContent(tool_response));
  return [
    {
      message_id: names.call(tool_use_id).id,
      role: "assistant",
      content: call.content,
      metadata: { kind: "tool_use", ...call.metadata },
    },
    {
      message_id: names.result(tool_use_id).id,
      role: "tool",
      content: result.content,
      metadata: stated({
        kind: "tool_result",
        tool: tool_name,
        tool_use_id,
        outcome: failed ? "error" : "success",
        duration_ms,
        ...result.metadata,
        response: failed ? undefined : shallow(tool_response),
      }),
    },
  ];
}

/** Tools answer in forms of their own: an MCP server's blocks, a shell's streams, or whatever else. */
function responseContent(response: unknown): unknown {
  if (!isObject(response)) return response;
  const { content, stdout, stderr } = response;
  if (Array.isArray(content)) return content;
  if (typeof stdout === "string")
    return [stdout, stderr].filter((text) => typeof text === "string" && text !== "").join("\n");
  return JSON.stringify(response);
}
