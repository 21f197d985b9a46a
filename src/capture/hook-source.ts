import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { isText, kept, toolCall, toolResult } from "./blocks.ts";
import { begin, conversationId, derivedId, message, stated, timeOf } from "./captured.ts";
import type { Captured, CapturedMessage, SourceReader } from "./captured.ts";
import { beginPlace } from "./claude-code-facts.ts";
import { ClaudeCodeReader } from "./claude-code.ts";
import type { HookFacts } from "./claude-code-row.ts";
import { eventMessages, placeOf } from "./hook-messages.ts";
import type { EventPlace } from "./hook-messages.ts";
import type { HookEvent } from "./hook-queue.ts";

/** What a client's hook events mean. */
export interface HookSource {
  /** The conversation that an event belongs to, and its transcript. Undefined for an event of no session. */
  place(event: Json): EventPlace | undefined;
  /** Begins the event's conversation, where no transcript does. */
  begin(event: HookEvent, place: EventPlace): Captured;
  /** The messages that the event tells of, for when the transcript lacks them. */
  messages(event: HookEvent, place: EventPlace): CapturedMessage[];
  /**
   * Whether these messages have the ids that the transcript gives them. Events of other clients stand in only where there is
   * no transcript that can be read.
   */
  sharesIds(event: Json): boolean;
  /** Makes the reader of a transcript whose content is not asked for its kind. */
  reader?(place: EventPlace, hooks: HookFacts): SourceReader;
}

const claudeCode: HookSource = {
  place: placeOf,
  begin: ({ event, time }, place) => {
    const { cwd, agent_type: agentType } = event;
    return beginPlace(place, { cwd }, time, { agentType });
  },
  messages: eventMessages,
  sharesIds: (event) => typeof event["prompt_id"] === "string" || typeof event["tool_use_id"] === "string",
  reader: ({ session, transcript }, hooks) => new ClaudeCodeReader({ session, path: transcript, hooks }),
};

/** The parts of an event that a person would miss, whatever the client calls them. */
interface Told {
  /** What hooks have said, where the client shows it as part of the prompt. */
  hook?: string;
  prompt?: unknown;
  answer?: unknown;
  tool?: { name: unknown; id: unknown; input: unknown; content: unknown; failed: boolean };
}

/** A client that gives its messages no ids in its events, so that its transcript is the record. */
function plain(source: string, told: (event: Json) => Told): HookSource {
  return {
    place({ session_id, transcript_path, agent_transcript_path }) {
      if (typeof session_id !== "string" || session_id === "") return undefined;
      const transcript = [agent_transcript_path, transcript_path].find((path) => typeof path === "string");
      const conversation = conversationId(source, session_id);
      return { session: session_id, agent: undefined, conversation, transcript };
    },
    begin: ({ event, time }, { conversation, session }) =>
      begin({ conversation, source, session, cwd: event["cwd"], model: event["model"], time }),
    messages: ({ event, id, time }, { conversation }) => {
      // A sub-agent's words belong into a conversation that only its transcript names.
      if (typeof event["agent_transcript_path"] === "string") return [];
      const common = stated({ source, cwd: event["cwd"], event: event["hook_event_name"], provisional: true });
      const at = timeOf(event["timestamp"]) ?? time;
      return saidIn(told(event), derivedId(conversation, id)).flatMap(({ metadata, ...said }) => {
        const made = message(conversation, { ...said, time: at, metadata: { ...common, ...metadata } });
        return made.kind === "message" ? [made.message] : [];
      });
    },
    sharesIds: () => false,
  };
}

type Saying = Pick<CapturedMessage, "role" | "content"> & { id: string; kind: string; metadata?: Json };

function saidIn({ hook, prompt, answer, tool }: Told, name: string): Saying[] {
  const said =
    hook === undefined ? [] : [{ id: derivedId(name, "hook"), role: "system", kind: "hook", content: hook } as const];
  if (isText(prompt))
    return [...said, { id: derivedId(name, "prompt"), role: "user", kind: "prompt", content: prompt }];
  if (isText(answer)) return [{ id: derivedId(name, "answer"), role: "assistant", kind: "answer", content: answer }];
  if (!isText(tool?.name)) return [];
  const toolUseId = isText(tool.id) ? tool.id : name;
  const call = toolCall(tool.name, toolUseId, tool.input);
  const result = toolResult(tool.name, tool.content);
  const facts = { tool: tool.name, tool_use_id: toolUseId, outcome: tool.failed ? "error" : "success" };
  return [
    {
      id: derivedId(name, "call"),
      role: "assistant",
      kind: "tool_use",
      content: call.content,
      metadata: call.metadata ?? {},
    },
    {
      id: derivedId(name, "result"),
      role: "tool",
      kind: "tool_result",
      content: result.content,
      metadata: { ...facts, ...result.metadata },
    },
  ];
}

const codex = plain("codex", (event) => {
  const { hook_event_name: name, prompt, last_assistant_message: answer } = event;
  if (name === "UserPromptSubmit") return { prompt };
  if (name === "Stop") return { answer };
  const { tool_name, tool_use_id, tool_input, tool_response: response } = event;
  if (name !== "PostToolUse") return {};
  const content = isObject(response) && Array.isArray(response["content"]) ? response["content"] : response;
  return { tool: { name: tool_name, id: tool_use_id, input: tool_input, content, failed: false } };
});

const gemini = plain("gemini", (event) => {
  const { hook_event_name: name, prompt, prompt_response: answer, tool_name, tool_input, tool_response } = event;
  if (name === "BeforeAgent") return personsPart(prompt);
  if (name === "AfterAgent") return { answer };
  if (name !== "AfterTool") return {};
  const response = isObject(tool_response) ? tool_response : { llmContent: tool_response };
  const { llmContent, error } = response;
  const parts: unknown[] = Array.isArray(llmContent) ? llmContent : [llmContent];
  // A part of Gemini's API is an object with its one kind as the key.
  const blocks = parts.map((part) => (isObject(part) && typeof part["text"] === "string" ? part["text"] : kept(part)));
  const failed = error !== undefined && error !== null;
  return { tool: { name: tool_name, id: undefined, input: tool_input, content: blocks, failed } };
});

const HOOK_CONTEXT = { begin: "<hook_context>", end: "</hook_context>" };

/** Without a terminal, Gemini puts what hooks have said before the prompt of the person. */
function personsPart(prompt: unknown): Told {
  if (!isText(prompt) || !prompt.startsWith(HOOK_CONTEXT.begin)) return { prompt };
  const end = prompt.indexOf(HOOK_CONTEXT.end);
  if (end === -1) return { prompt };
  const from = end + HOOK_CONTEXT.end.length;
  return { hook: prompt.slice(0, from), prompt: prompt.slice(from).trimStart() };
}

const sources: Record<string, HookSource> = { "claude-code": claudeCode, codex, gemini };

/** The meaning of a client's events. An unknown client is taken for Claude Code, whose form others copy. */
export function hookSource(client: string): HookSource {
  return sources[client] ?? claudeCode;
}
