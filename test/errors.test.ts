import { expect, test } from "bun:test";
import { asDeweyError, DeweyError, errorCodeOf, exitCode, httpStatus, jsonRpcCode } from "../src/errors.ts";

test("every code has a JSON-RPC code of its own that MCP does not use", () => {
  const codes = ["invalid", "not_found", "conflict", "unauthorized", "unavailable", "internal"] as const;
  const translated = codes.map(jsonRpcCode);
  expect(new Set(translated).size).toBe(codes.length);
  // JSON-RPC and MCP give meanings to this range; two codes mean the same there as here.
  const reserved = translated.filter((code) => code >= -32_768 && code <= -32_000);
  expect(reserved).toEqual([-32_602, -32_603]);
});

// Scripts and clients rely on these numbers.
test("every code has its JSON-RPC code, HTTP status and exit code", () => {
  const codes = ["invalid", "not_found", "conflict", "unauthorized", "unavailable", "internal"] as const;
  expect(codes.map((code) => [jsonRpcCode(code), httpStatus(code), exitCode(code)])).toEqual([
    [-32_602, 400, 2],
    [404, 404, 1],
    [409, 409, 1],
    [401, 401, 77],
    [503, 503, 69],
    [-32_603, 500, 1],
  ]);
  for (const code of codes) expect(errorCodeOf(jsonRpcCode(code))).toBe(code);
  expect([errorCodeOf(-32_000), errorCodeOf("x"), errorCodeOf(undefined)]).toEqual([
    "internal",
    "internal",
    "internal",
  ]);
});

test("any other error becomes an internal one and keeps its cause", () => {
  const own = new DeweyError("conflict", "it is taken", { field: "turn_number" });
  expect(asDeweyError(own)).toBe(own);
  expect(own.field).toBe("turn_number");
  const foreign = new TypeError("boom");
  expect(asDeweyError(foreign)).toMatchObject({ code: "internal", message: "boom", cause: foreign });
  expect(asDeweyError("text")).toMatchObject({ code: "internal", message: "text" });
});
