import { ErrorCode } from "@modelcontextprotocol/sdk/types.js";
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";
import { asDeweyError, DeweyError, jsonRpcCode } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Actor } from "../store/audit.ts";
import type { Store } from "../store/store.ts";
import { setStartupContext } from "../tools/contexts.ts";
import { anyObject } from "../tools/fields.ts";
import { QUOTATION } from "../tools/tool.ts";
import type { Tool } from "../tools/tool.ts";
import { callTool, tools } from "../tools/tools.ts";
import { doing } from "../watchdog.ts";
import { isObject } from "../wire/frame.ts";
import type { Caller } from "./caller.ts";
import { logFailedCall } from "./failed-call.ts";
import { jsonSchema } from "./json-schema.ts";
import { toolFor } from "./offered-tools.ts";
import { paramsOf, protocolError } from "./protocol-error.ts";
import { conversationResource } from "./resources.ts";

/**
 * Who may change startup contexts over MCP: with "on" a context that is set becomes active unless the caller says otherwise,
 * with "inactive" only when the caller asks for it, and with "off" no call over MCP changes any.
 */
export type ContextWrites = "on" | "inactive" | "off";

export interface CallOptions {
  store: Store;
  log: Log;
  contextWrites: ContextWrites;
  /** The tools that clients see and may call. */
  offered: ReadonlyMap<string, Tool>;
  /** Called when a tool call begins. */
  onBegin: () => void;
  /** Called after every tool call, with its outcome ("ok" or the error's code) and duration. */
  onCall: (tool: string, outcome: string, ms: number) => void;
}

/** Links after a reply: a model reads them too, and a person opens the first ones. */
const MAX_LINKS = 10;

/** Every tool as `tools/list` returns it. */
const shown = new Map(
  [...tools.values()].map((tool) => [
    tool.name,
    {
      name: tool.name,
      title: tool.title,
      description: tool.description,
      inputSchema: jsonSchema(tool.input, "input"),
      // The notice of quotation, which explains itself, is left out.
      outputSchema: jsonSchema(tool.output, "output"),
      annotations: hintsOf(tool),
      ...(tool.alwaysLoaded ? { _meta: { "anthropic/alwaysLoad": true } } : {}),
    },
  ]),
);

/** The reply to `tools/list`, in an order that never changes. */
export function listTools({ offered }: CallOptions) {
  return { tools: [...offered.keys()].map((name) => shown.get(name)) };
}

/** The hints without those that a reading tool cannot be, and without the title, which stands beside them. */
function hintsOf({ annotations }: Tool) {
  const { readOnlyHint, openWorldHint, ...others } = annotations;
  return readOnlyHint ? { readOnlyHint, openWorldHint } : { ...others, openWorldHint };
}

const callParams = z.looseObject({
  name: z.string("should be the name of a tool"),
  arguments: anyObject('should be an object that names each argument, such as {"query": "words"}').optional(),
});

/** Handles `tools/call`. An error that a model can correct is a result; only a malformed request is a protocol error. */
export async function callByName(params: unknown, caller: Caller, options: CallOptions): Promise<CallToolResult> {
  const { name: wanted, arguments: args } = paramsOf(callParams, params);
  const tool = toolFor(wanted, caller, options.offered);
  if (!tool) {
    const name = JSON.stringify(wanted);
    noSuchTool(args, caller, options);
    throw protocolError(ErrorCode.InvalidParams, `there is no tool ${name}; tools/list returns the available ones`);
  }
  try {
    const found = await answer(tool, args, caller, options);
    // First, so that the model has read it before the text that it is about.
    const output = tool.quotes ? { notice: QUOTATION, ...found } : found;
    const links = caller.takesLinks ? linksOf(tool, found) : [];
    return { content: [{ type: "text", text: JSON.stringify(output) }, ...links], structuredContent: output };
  } catch (thrown) {
    const { code, field, message } = told(thrown, tool);
    const text = JSON.stringify({ error: { code, ...(field === undefined ? {} : { field }), message } });
    return { isError: true, content: [{ type: "text", text }] };
  }
}

/** Links to the conversations that a reply is about, each once. */
function linksOf(tool: Tool, output: Record<string, unknown>) {
  const titles = new Map<string, string | null>();
  for (const { id, title } of tool.conversations?.(output) ?? []) titles.set(id, title);
  return [...titles].slice(0, MAX_LINKS).map(([id, title]) => ({
    type: "resource_link" as const,
    ...conversationResource(id, title ?? "Conversation"),
  }));
}

/** Serves the prototype's clients, which name the tool as the method and expect the bare value, without a handshake. */
export async function callDirectly(method: string, params: unknown, caller: Caller, options: CallOptions) {
  const tool = toolFor(method, caller, options.offered);
  if (!tool) throw protocolError(ErrorCode.MethodNotFound, `there is no method ${JSON.stringify(method)}`);
  try {
    const output = await answer(tool, params, caller, options);
    // The SDK's type demands an object, but the wire carries any JSON: "no context" is null.
    return (tool.bare ? tool.bare(output) : output) as Record<string, unknown>;
  } catch (thrown) {
    const { code, field, message } = told(thrown, tool);
    throw protocolError(jsonRpcCode(code), message, { code, ...(field === undefined ? {} : { field }) });
  }
}

async function answer(tool: Tool, given: unknown, caller: Caller, options: CallOptions) {
  const { store, log, onBegin, onCall } = options;
  const { actor, signal } = caller;
  onBegin();
  const startedMs = performance.now();
  try {
    const args = tool.writesContexts ? permitted(tool, given, { actor, options }) : given;
    const output = await doing(tool.name, () => callTool(tool, store, args, actor, signal));
    onCall(tool.name, "ok", performance.now() - startedMs);
    return output;
  } catch (error) {
    onCall(tool.name, asDeweyError(error).code, performance.now() - startedMs);
    logFailedCall(log, store, { tool, args: given, caller, thrown: error });
    throw error;
  }
}

/** The arguments of a call that changes what later sessions read as instruction. Throws `unauthorized` when it may not. */
function permitted(
  tool: Tool,
  args: unknown,
  { actor, options }: { actor: Actor; options: Pick<CallOptions, "store" | "contextWrites"> },
): unknown {
  const { store, contextWrites } = options;
  if (contextWrites === "off") {
    if (tool.writesContexts) store.audit.note({ action: tool.writesContexts, actor }, "unauthorized");
    const remedy = "a person can change them with: dewey context";
    throw new DeweyError(
      "unauthorized",
      `this server does not change startup contexts over MCP (DEWEY_CONTEXT_WRITES is off); ${remedy}`,
    );
  }
  const asksNothing = tool === setStartupContext && isObject(args) && args["set_active"] === undefined;
  return asksNothing && contextWrites === "inactive" ? { ...args, set_active: false } : args;
}

function noSuchTool(args: unknown, caller: Caller, { store, log }: CallOptions): void {
  const thrown = new DeweyError("invalid", "there is no tool of this name");
  logFailedCall(log, store, { tool: undefined, args, caller, thrown });
}

/** The error for the caller. The message of an internal one is withheld: it may quote other people's data. */
function told(thrown: unknown, tool: Tool): Pick<DeweyError, "code" | "field" | "message"> {
  const error = asDeweyError(thrown);
  if (error.code !== "internal") return error;
  return { code: "internal", field: undefined, message: `${tool.name} failed inside Dewey; its log says more` };
}
