import type { z } from "zod";

/** The codes that MCP 2026-07-28 defines beside those of JSON-RPC. Dewey needs no capability of a client, so -32021 is never sent. */
export const HEADER_MISMATCH = -32_020;
export const UNSUPPORTED_VERSION = -32_022;
export const METHOD_NOT_FOUND = -32_601;
export const INVALID_PARAMS = -32_602;
const INTERNAL_ERROR = -32_603;

/**
 * An error that is answered as a JSON-RPC error. The SDK's own `McpError` starts each message with "MCP error -32602:", and
 * clients made with the SDK prepend that once more.
 */
export class ProtocolError extends Error {
  readonly code: number;
  readonly data?: object;

  constructor(code: number, message: string, data?: object) {
    super(message);
    this.code = code;
    if (data !== undefined) this.data = data;
  }
}

export function protocolError(code: number, message: string, data?: object): ProtocolError {
  return new ProtocolError(code, message, data);
}

/** The JSON-RPC error of anything thrown, without what only Dewey's log may hold. */
export function jsonRpcError(thrown: unknown): { code: number; message: string; data?: object } {
  if (!(thrown instanceof ProtocolError)) return { code: INTERNAL_ERROR, message: "the request failed inside Dewey" };
  const { code, message, data } = thrown;
  return { code, message, ...(data === undefined ? {} : { data }) };
}

/** Checks a request's parameters. Throws the error that names the first wrong one. */
export function paramsOf<Schema extends z.ZodType>(schema: Schema, params: unknown): z.output<Schema> {
  const parsed = schema.safeParse(params ?? {});
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const path = ["params", ...(issue?.path ?? [])].map(String).join(".");
  throw protocolError(INVALID_PARAMS, `${path} ${issue?.message ?? "is wrong"}`);
}
