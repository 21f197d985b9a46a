import { toolCall, toolResult } from "../../capture/blocks.ts";

// Invented talks: nothing in them is anybody's.

/** One step of an invented talk. A call has its result, how long it took, and whether it failed. */
export type Step =
  | { say: string }
  | { think: string }
  | { answer: string }
  | { call: string; with: Record<string, unknown>; gives: string; ms: number; failed?: true };

export interface DemoTalk {
  title: string;
  client: string;
  folder: string;
  branch?: string;
  daysAgo: number;
  steps: readonly Step[];
  starred?: true;
  /** The title of the talk whose agent started this one. */
  parent?: string;
  /** Of a session that the recorder kept: the server that was called. */
  upstream?: string;
}

/** A message as `dewey_store_messages_bulk` takes it. */
interface DemoMessage {
  role: "user" | "assistant" | "tool";
  content: string;
  created_at: string;
  metadata: Record<string, unknown>;
}

/** A person reads and types for this long before the next step, in milliseconds. */
const PAUSE_MS = 41_000;
const MODEL = "demo-model";

/** The messages of a talk that ended at `endMs`, or began then for a talk of the recorder. */
export function messagesOf(talk: DemoTalk, endMs: number): DemoMessage[] {
  const spent = talk.steps.reduce((sum, step) => sum + PAUSE_MS / pace(talk) + ("call" in step ? step.ms : 0), 0);
  let time = endMs - spent;
  return talk.steps.flatMap((step, index) => {
    time += PAUSE_MS / pace(talk);
    const created_at = new Date(time).toISOString();
    if ("say" in step) return [{ role: "user" as const, content: step.say, created_at, metadata: { kind: "prompt" } }];
    if ("think" in step)
      return [
        { role: "assistant" as const, content: step.think, created_at, metadata: { kind: "thinking", model: MODEL } },
      ];
    if ("answer" in step)
      return [
        { role: "assistant" as const, content: step.answer, created_at, metadata: { kind: "answer", model: MODEL } },
      ];
    time += step.ms;
    return callMessages(talk, step, { index, created_at, answered_at: new Date(time).toISOString() });
  });
}

/** The recorder's clients call quicker than people talk. */
function pace({ upstream }: DemoTalk): number {
  return upstream === undefined ? 1 : 60;
}

function callMessages(
  { upstream }: DemoTalk,
  step: Extract<Step, { call: string }>,
  { index, created_at, answered_at }: { index: number; created_at: string; answered_at: string },
): DemoMessage[] {
  const id = upstream === undefined ? `call-${index}` : index;
  const call = toolCall(step.call, `${id}`, step.with);
  const result = toolResult(step.call, step.gives);
  const outcome = step.failed ? "error" : "success";
  const recorded = { source: "proxy", upstream, method: "tools/call", tool: step.call, id };
  const [asked, answered] =
    upstream === undefined
      ? [
          { kind: "tool_use", ...call.metadata },
          { kind: "tool_result", tool: step.call, tool_use_id: id, ...result.metadata },
        ]
      : [
          { ...recorded, direction: "up", arguments: step.with },
          { ...recorded, direction: "down" },
        ];
  return [
    { role: upstream === undefined ? "assistant" : "user", content: call.content, created_at, metadata: asked },
    {
      role: upstream === undefined || step.failed ? "tool" : "assistant",
      content: result.content,
      created_at: answered_at,
      metadata: { ...answered, outcome, duration_ms: step.ms },
    },
  ];
}
