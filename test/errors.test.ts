import { expect, test } from "bun:test";
import { asDeweyError, DeweyError, exitCode, httpStatus, jsonRpcCode } from "../src/errors.ts";

test("every code has its own translation to JSON-RPC, clear of the codes that MCP has taken", () => {
  const codes = ["invalid", "not_found", "conflict", "unauthorized", "unavailable", "internal"] as const;
  const translated = codes.map(jsonRpcCode);
  expect(new Set(translated).size).toBe(codes.length);
  for (const taken of [-32_700, -32_600, -32_601, -32_000, -32_001, -32_002, -32_042])
    expect(translated).not.toContain(taken);
});

test("wrong usage exits with 2 and an absent database is a 503", () => {
  expect(exitCode("invalid")).toBe(2);
  expect(httpStatus("unavailable")).toBe(503);
});

test("what is no error of ours becomes an internal one and keeps its cause", () => {
  const own = new DeweyError("conflict", "it is taken", { field: "turn_number" });
  expect(asDeweyError(own)).toBe(own);
  const foreign = new TypeError("boom");
  expect(asDeweyError(foreign)).toMatchObject({ code: "internal", message: "boom", cause: foreign });
  expect(asDeweyError("text")).toMatchObject({ code: "internal", message: "text" });
});
