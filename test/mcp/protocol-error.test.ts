import { expect, test } from "bun:test";
import { jsonRpcError, protocolError } from "../../src/mcp/protocol-error.ts";

test("only an error of the protocol is answered with its own words", () => {
  expect(jsonRpcError(protocolError(-32_602, "params.a is missing", { field: "a" }))).toEqual({
    code: -32_602,
    message: "params.a is missing",
    data: { field: "a" },
  });
  // Others have numbers as codes, too.
  for (const other of [
    new DOMException("inside", "AbortError"),
    Object.assign(new Error("inside"), { code: 5 }),
    "inside",
  ])
    expect(jsonRpcError(other)).toEqual({ code: -32_603, message: "the request failed inside Dewey" });
});
