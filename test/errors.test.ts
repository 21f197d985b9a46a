import { expect, test } from "bun:test";
import { asDeweyError, DeweyError, exitCode, httpStatus, jsonRpcCode } from "../src/errors.ts";

test("every code has a JSON-RPC code of its own that MCP does not use", () => {
  const codes = ["invalid", "not_found", "conflict", "unauthorized", "unavailable", "internal"] as const;
  const translated = codes.map(jsonRpcCode);
  expect(new Set(translated).size).toBe(codes.length);
  for (const taken of [-32_700, -32_600, -32_601, -32_000, -32_001, -32_002, -32_042])
    expect(translated).not.toContain(taken);
});

test("wrong usage exits with 2, and an unavailable database is a 503 that exits with 69", () => {
  expect(exitCode("invalid")).toBe(2);
  expect(httpStatus("unavailable")).toBe(503);
});

test("any other error becomes an internal one and keeps its cause", () => {
  const own = new DeweyError("conflict", "it is taken", { field: "turn_number" });
  expect(asDeweyError(own)).toBe(own);
  const foreign = new TypeError("boom");
  expect(asDeweyError(foreign)).toMatchObject({ code: "internal", message: "boom", cause: foreign });
  expect(asDeweyError("text")).toMatchObject({ code: "internal", message: "text" });
});
