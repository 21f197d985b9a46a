import type { z } from "zod";
import type { Author } from "../store/context-history.ts";
import type { Store } from "../store/store.ts";

/** Hints for a client about what a tool does (MCP's `ToolAnnotations`). */
interface ToolAnnotations {
  readOnlyHint: boolean;
  destructiveHint: boolean;
  idempotentHint: boolean;
  openWorldHint: false;
}

/** One MCP tool: what a model reads, what it may send, what it gets, and the code between. */
export interface Tool<Input extends z.ZodObject = z.ZodObject, Output extends z.ZodObject = z.ZodObject> {
  name: string;
  title: string;
  /** Written for a model: when to use it and what comes back. */
  description: string;
  input: Input;
  output: Output;
  annotations: ToolAnnotations;
  /** Clients that load tools when they need them should load this one at once. */
  alwaysLoaded?: true;
  /** `author` is who calls, for what is kept with its author; `signal` aborts when the caller no longer waits. */
  handle(store: Store, input: z.output<Input>, author: Author, signal: AbortSignal): Promise<z.input<Output>>;
  /** What a caller gets who names the tool as the JSON-RPC method, where that is not the same as the output. */
  bare?(output: z.input<Output>): unknown;
}

/** Keeps the types of a tool's input and output together where it is defined. */
export function defineTool<Input extends z.ZodObject, Output extends z.ZodObject>(tool: Tool<Input, Output>): Tool {
  return tool;
}
