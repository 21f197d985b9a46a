/** What can go wrong, in the caller's terms. Everything Dewey reports is one of these. */
export type ErrorCode =
  | "invalid" // The input is wrong; the caller can correct it.
  | "not_found" // What was named is not there (or is in the trash).
  | "conflict" // The input contradicts what is stored.
  | "unauthorized" // The caller did not show the token.
  | "unavailable" // A part that Dewey needs (database, upstream, server) is away; trying again may help.
  | "internal"; // A fault of Dewey's own.

/** The one error class. `field` names the offending input; `message` says the remedy. Neither ever holds a secret. */
export class DeweyError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;

  constructor(code: ErrorCode, message: string, options: { field?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "DeweyError";
    this.code = code;
    this.field = options.field;
  }
}

/**
 * The one translation of codes to the outside.
 * JSON-RPC codes: -32602 and -32603 are the protocol's; the -320xx ones lie in its range for servers' own errors,
 * clear of those that MCP has taken (-32000 to -32002 and -32042).
 * Exit codes: 2 is the convention for wrong usage, 69 and 77 are sysexits' EX_UNAVAILABLE and EX_NOPERM.
 */
const translations: Record<ErrorCode, { jsonRpc: number; http: number; exit: number }> = {
  invalid: { jsonRpc: -32602, http: 400, exit: 2 },
  not_found: { jsonRpc: -32020, http: 404, exit: 1 },
  conflict: { jsonRpc: -32021, http: 409, exit: 1 },
  unauthorized: { jsonRpc: -32022, http: 401, exit: 77 },
  unavailable: { jsonRpc: -32023, http: 503, exit: 69 },
  internal: { jsonRpc: -32603, http: 500, exit: 1 },
};

export const jsonRpcCode = (code: ErrorCode): number => translations[code].jsonRpc;
export const httpStatus = (code: ErrorCode): number => translations[code].http;
export const exitCode = (code: ErrorCode): number => translations[code].exit;

/** The code that a server's JSON-RPC error stands for; what is not in the table is a fault. */
export function errorCodeOf(jsonRpc: unknown): ErrorCode {
  const codes: ErrorCode[] = ["invalid", "not_found", "conflict", "unauthorized", "unavailable"];
  return codes.find((code) => translations[code].jsonRpc === jsonRpc) ?? "internal";
}

/** Turns whatever was thrown into a DeweyError; what is not one already is a fault of ours. */
export function asDeweyError(thrown: unknown): DeweyError {
  if (thrown instanceof DeweyError) return thrown;
  return new DeweyError("internal", thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown });
}
