import { z } from "zod";

/** A row for `dewey_store_fiedler_result`. */
export interface FiedlerRow {
  correlation_id: string;
  model: string;
  output: string;
  status: "success" | "error";
  duration_seconds?: number;
  tokens_prompt?: number;
  tokens_completion?: number;
  error_message?: string;
  result_id?: string;
  conversation_id?: string;
}

const count = z.int().min(0).optional().catch(undefined);

const answer = z.object({
  correlation_id: z.string().min(1),
  results: z.array(
    z.object({
      model: z.string().min(1),
      status: z.string(),
      text: z.string().optional().catch(undefined),
      output: z.string().optional().catch(undefined),
      output_file: z.string().optional().catch(undefined),
      duration: z.number().min(0).optional().catch(undefined),
      tokens: z.object({ prompt: count, completion: count }).optional().catch(undefined),
      error: z.string().optional().catch(undefined),
    }),
  ),
});

/**
 * The rows in an answer of the orchestrator's tool `fiedler_send`, which is JSON in a text block; none for any other text.
 * The output of a row is the model's text if the answer has it, else the path of its file, else the error.
 */
export function fiedlerResults(text: string): FiedlerRow[] {
  const parsed = answer.safeParse(tryJson(text));
  if (!parsed.success) return [];
  return parsed.data.results.map((result) => ({
    correlation_id: parsed.data.correlation_id,
    model: result.model,
    output: result.text || result.output || result.output_file || result.error || "(no output)",
    status: result.status === "success" ? "success" : "error",
    ...(result.duration === undefined ? {} : { duration_seconds: result.duration }),
    ...(result.tokens?.prompt === undefined ? {} : { tokens_prompt: result.tokens.prompt }),
    ...(result.tokens?.completion === undefined ? {} : { tokens_completion: result.tokens.completion }),
    ...(result.error === undefined ? {} : { error_message: result.error }),
  }));
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
