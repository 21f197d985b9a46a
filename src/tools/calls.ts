import { z } from "zod";
import { cursor, key, limit, nextCursor, reads, shownBy, startDate, time, toolStats, uuid } from "./fields.ts";
import { defineTool } from "./tool.ts";

export const listCalls = defineTool({
  name: "dewey_list_calls",
  title: "List tool calls",
  description: "Lists recorded tool calls, the latest first; turn holds the result, call_turn the arguments.",
  input: z.strictObject({
    conversation_id: uuid().optional(),
    upstream: key().optional(),
    tool: key().optional(),
    failed: z.boolean().optional(),
    start_date: startDate.optional(),
    limit,
    cursor,
  }),
  output: z.object({
    calls: z.array(
      shownBy(
        z.object({
          conversation_id: z.string(),
          title: z.string().nullable(),
          client: z.string().nullable(),
          upstream: z.string().nullable(),
          tool: z.string(),
          started_at: time,
          duration_ms: z.number().nullable(),
          outcome: z.string(),
          turn: z.int(),
          call_turn: z.int().nullable(),
        }),
        "conversation_id, title, upstream, tool, started_at, duration_ms, outcome, turn, call_turn",
      ),
    ),
    tools: shownBy(z.array(toolStats), "as in dewey_stats, latest 10,000").optional(),
    next_cursor: nextCursor,
  }),
  annotations: reads,
  quotes: true,
  handle: (store, input) => store.calls.list(input),
});
