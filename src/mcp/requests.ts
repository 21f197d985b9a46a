import { asDeweyError, jsonRpcCode } from "../errors.ts";
import type { Caller } from "./caller.ts";
import { complete } from "./completions.ts";
import { getPrompt, promptList } from "./prompts.ts";
import { INVALID_PARAMS, ProtocolError, protocolError } from "./protocol-error.ts";
import { listResources, readResource, resourceTemplates } from "./resources.ts";
import { callByName, listTools } from "./tool-calls.ts";
import type { CallOptions } from "./tool-calls.ts";

type Json = Record<string, unknown>;

interface Method {
  answer(params: unknown, caller: Caller, options: CallOptions): Promise<Json> | Json;
  /** The parameter that the header `Mcp-Name` repeats. */
  named?: "name" | "uri";
  /** How long a client may keep the answer, and whether other users' clients may share it (2026-07-28). */
  cache?: { ttlMs: number; cacheScope: "public" | "private" };
}

/** Changes only with the server's version and settings. */
const FIXED = { ttlMs: 3_600_000, cacheScope: "public" } as const;
/** Stored texts: they belong to those who may read the store, and change at any moment. */
const STORED = { ttlMs: 0, cacheScope: "private" } as const;

export const RESOURCES_LIST = "resources/list";

/** The methods that every revision has in common, and that need nothing of a session. */
const methods: Record<string, Method> = {
  "tools/list": { answer: (_, __, options) => listTools(options), cache: FIXED },
  "tools/call": { answer: callByName, named: "name" },
  "prompts/list": { answer: () => ({ prompts: promptList }), cache: FIXED },
  "prompts/get": { answer: (params, { signal }, { store }) => getPrompt(params, store, signal), named: "name" },
  [RESOURCES_LIST]: { answer: (_, __, { store }) => listResources(store), cache: STORED },
  "resources/templates/list": { answer: () => ({ resourceTemplates }), cache: FIXED },
  "resources/read": { answer: (params, _, { store }) => readResource(params, store), named: "uri", cache: STORED },
  "completion/complete": { answer: (params, _, { store }) => complete(params, store) },
};

/** What the server can do, as `initialize` and `server/discover` say. */
export const capabilities = { tools: {}, prompts: {}, resources: { listChanged: true }, completions: {} };

export function handlesMethod(method: string): boolean {
  return Object.hasOwn(methods, method);
}

/** The method's own facts; undefined when there is no such method. */
export function methodOf(method: string): Omit<Method, "answer"> | undefined {
  return handlesMethod(method) ? methods[method] : undefined;
}

/** Answers a request of any revision. Throws a `ProtocolError`. */
export async function answerRequest(
  method: string,
  params: unknown,
  caller: Caller,
  options: CallOptions,
): Promise<Json> {
  try {
    return (await methods[method]?.answer(params, caller, options)) ?? {};
  } catch (thrown) {
    if (thrown instanceof ProtocolError) throw thrown;
    const { code, message, field } = asDeweyError(thrown);
    if (code === "internal") options.log.error("a request failed", { method, error: thrown });
    const told = code === "internal" ? `${method} failed inside Dewey; its log says more` : message;
    // What a parameter names does not exist, so the parameter is wrong: MCP has no other code for it.
    throw protocolError(code === "not_found" ? INVALID_PARAMS : jsonRpcCode(code), told, {
      code,
      ...(field === undefined ? {} : { field }),
    });
  }
}
