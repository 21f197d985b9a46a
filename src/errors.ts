/** The kinds of errors, in the caller's terms. Every error that Dewey reports is one of these. */
export type ErrorCode =
  | "invalid" // The caller can correct the input.
  | "not_found" // The named thing does not exist, or is in the trash.
  | "conflict" // The input contradicts stored data.
  | "unauthorized" // The token is missing or wrong.
  | "unavailable" // The database, an upstream or the server does not answer; a retry may help.
  | "internal"; // A bug in Dewey.

/** Every kind, as in the table below. */
export const errorCodes: readonly ErrorCode[] = [
  "invalid",
  "not_found",
  "conflict",
  "unauthorized",
  "unavailable",
  "internal",
];

/** The only error class. `field` names the input at fault; `message` includes the remedy. Neither ever holds a secret. */
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
 * The code that each protocol uses for an error.
 * JSON-RPC: -32602 and -32603 are defined by the protocol. The others lie outside of the range that JSON-RPC reserves
 * (-32768 to -32000), as MCP demands since 2026-07-28: it gives meanings to codes of that range, -32020 to -32022 among them.
 * Exit codes: 2 is the convention for wrong usage; 69 and 77 are EX_UNAVAILABLE and EX_NOPERM of sysexits.
 */
const translations: Record<ErrorCode, { jsonRpc: number; http: number; exit: number }> = {
  invalid: { jsonRpc: -32602, http: 400, exit: 2 },
  not_found: { jsonRpc: 404, http: 404, exit: 1 },
  conflict: { jsonRpc: 409, http: 409, exit: 1 },
  unauthorized: { jsonRpc: 401, http: 401, exit: 77 },
  unavailable: { jsonRpc: 503, http: 503, exit: 69 },
  internal: { jsonRpc: -32603, http: 500, exit: 1 },
};

export const jsonRpcCode = (code: ErrorCode): number => translations[code].jsonRpc;
export const httpStatus = (code: ErrorCode): number => translations[code].http;
export const exitCode = (code: ErrorCode): number => translations[code].exit;

/** The error code for a JSON-RPC code; `internal` for one that is not in the table. */
export function errorCodeOf(jsonRpc: unknown): ErrorCode {
  return errorCodes.find((code) => translations[code].jsonRpc === jsonRpc) ?? "internal";
}

/** Wraps anything thrown in a DeweyError; `internal` unless it is one already. */
export function asDeweyError(thrown: unknown): DeweyError {
  if (thrown instanceof DeweyError) return thrown;
  return new DeweyError("internal", thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown });
}
