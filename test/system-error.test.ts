import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { systemReason, systemRefusal } from "../src/system-error.ts";

const thrown = (run: () => unknown): unknown => {
  try {
    return run();
  } catch (error) {
    return error;
  }
};

test("a refusal of the system is told in words, with its path and code", () => {
  const missing = thrown(() => readFileSync("/nowhere/x"));
  expect(systemReason(missing)).toBe("there is no such file or folder (ENOENT)");
  expect(systemRefusal(missing)).toBe("/nowhere/x cannot be used: there is no such file or folder (ENOENT)");
  expect(systemRefusal(Object.assign(new Error("write"), { code: "ENOSPC" }))).toBe("the disk is full (ENOSPC)");
});

test("other errors keep their code or message, and are faults of Dewey", () => {
  expect(systemReason(Object.assign(new Error("so"), { code: "ERARE" }))).toBe("ERARE");
  expect(systemReason(new Error("so"))).toBe("so");
  expect(systemRefusal(new Error("so"))).toBeUndefined();
});
