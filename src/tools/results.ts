import { z } from "zod";
import {
  adds,
  anyMetadata,
  content,
  cursor,
  followToTrash,
  key,
  limit,
  metadata,
  moment,
  nextCursor,
  offset,
  reads,
  shownBy,
  time,
  total,
  totalIsLowerBound,
  uuid,
  whole,
} from "./fields.ts";
import { defineTool } from "./tool.ts";

const statuses = ["success", "error"] as const;
const status = z.enum(statuses, "should be success or error");

export const storeFiedlerResult = defineTool({
  name: "dewey_store_fiedler_result",
  title: "Store an orchestration result",
  description:
    "Stores one model's answer in an orchestration. All results of an orchestration share its correlation_id. " +
    "With a result_id of your own the call is idempotent.",
  input: z.strictObject({
    correlation_id: key(),
    model: key(),
    output: content(),
    result_id: uuid("an id of your own").optional(),
    prompt: z.string().optional(),
    tokens_prompt: whole(0).optional(),
    tokens_completion: whole(0).optional(),
    duration_seconds: z.number().min(0, "should be 0 or more").max(1e9, "should be at most 1e9").optional(),
    status: status.optional(),
    error_message: z.string().optional(),
    metadata: metadata().optional(),
    conversation_id: uuid().optional(),
    created_at: moment("default: now").optional(),
    follow_to_trash: followToTrash,
  }),
  output: z.object({ id: z.string(), created_at: time }),
  annotations: adds,
  handle: (store, input) => store.results.store(input),
});

export const getFiedlerResults = defineTool({
  name: "dewey_get_fiedler_results",
  title: "Read orchestration results",
  description: "Reads results of orchestrations, the latest first.",
  input: z.strictObject({
    correlation_id: key().optional(),
    model: key().optional(),
    status: status.optional(),
    conversation_id: uuid().optional(),
    full: z.boolean().optional().describe("whole, for programs"),
    limit,
    offset,
    cursor,
  }),
  output: z.object({
    results: z.array(
      shownBy(
        z.object({
          id: z.string(),
          correlation_id: z.string(),
          model: z.string(),
          prompt: z.string().nullable(),
          output: z.string(),
          tokens_prompt: z.int().nullable(),
          tokens_completion: z.int().nullable(),
          duration_seconds: z.number().nullable(),
          status: z.string().nullable(),
          error_message: z.string().nullable(),
          created_at: time,
          metadata: anyMetadata,
          conversation_id: z.string().nullable(),
          cut_bytes: z.partialRecord(z.enum(["prompt", "output", "error_message", "metadata"]), z.int()).optional(),
        }),
        "id, created_at, and the rest as dewey_store_fiedler_result takes it; cut_bytes: sizes of what is cut or left out",
      ),
    ),
    total,
    limit: z.int(),
    offset: z.int(),
    total_is_lower_bound: totalIsLowerBound,
    next_cursor: nextCursor,
  }),
  annotations: reads,
  quotes: true,
  handle: (store, input) => store.results.find(input),
});
