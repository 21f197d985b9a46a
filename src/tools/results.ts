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
    correlation_id: key("the orchestration's id"),
    model: key("the model that answered"),
    output: content("its answer"),
    result_id: uuid("an id of your own, to make the call idempotent").optional(),
    prompt: z.string().optional().describe("the prompt that it answered"),
    tokens_prompt: whole(0, "tokens of the prompt").optional(),
    tokens_completion: whole(0, "tokens of the answer").optional(),
    duration_seconds: z.number().min(0, "should be 0 or more").max(1e9, "should be at most 1e9").optional(),
    status: status.optional(),
    error_message: z.string().optional().describe("the error, if it failed"),
    metadata: metadata("anything worth keeping about the result").optional(),
    conversation_id: uuid("the conversation that it belongs to").optional(),
    created_at: moment("when it was answered, for imported results; default: now").optional(),
    follow_to_trash: followToTrash,
  }),
  output: z.object({ id: z.string(), created_at: time }),
  annotations: adds,
  handle: (store, input) => store.results.store(input),
});

export const getFiedlerResults = defineTool({
  name: "dewey_get_fiedler_results",
  title: "Read orchestration results",
  description: "Reads results of orchestrations, the latest first. Filters combine.",
  input: z.strictObject({
    correlation_id: key("only this orchestration").optional(),
    model: key("only this model").optional(),
    status: status.optional(),
    conversation_id: uuid("only this conversation").optional(),
    full: z.boolean().optional().describe("do not limit the reply's size"),
    limit,
    offset,
    cursor,
  }),
  output: z.object({
    results: z.array(
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
        cut_bytes: z
          .object({
            prompt: z.int().optional(),
            output: z.int().optional(),
            error_message: z.int().optional(),
            metadata: z.int().optional(),
          })
          .optional()
          .describe("sizes of the values that are cut or left out as too large for the reply; full returns them whole"),
      }),
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
