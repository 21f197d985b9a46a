import { expect, test } from "bun:test";
import { createLog } from "../src/log.ts";
import type { LogOptions } from "../src/log.ts";

function capture(options: Partial<LogOptions>) {
  const lines: string[] = [];
  return { lines, log: createLog({ level: "info", format: "json", write: (line) => lines.push(line), ...options }) };
}

test("one event is one JSON line with its fields", () => {
  const { lines, log } = capture({});
  log.with({ session: "s" }).warn("something is odd", { count: 2 });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toEndWith("\n");
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    level: "warn",
    event: "something is odd",
    session: "s",
    count: 2,
  });
});

test("events below the level are not logged", () => {
  const { lines, log } = capture({ level: "warn" });
  log.debug("a");
  log.info("b");
  log.warn("c");
  log.error("d");
  expect(lines.map((line) => JSON.parse(line).level)).toEqual(["warn", "error"]);
});

test("an error is logged as its message only", () => {
  const { lines, log } = capture({});
  log.error("it failed", { error: new Error("the reason", { cause: "what the caller sent" }) });
  expect(lines[0]).toContain("the reason");
  expect(lines[0]).not.toContain("what the caller sent");
});

test("a line break in a value cannot forge a line", () => {
  for (const format of ["json", "text"] as const) {
    const { lines, log } = capture({ format });
    log.info("an event", { reason: "first\nsecond" });
    expect(lines.join("").trimEnd().split("\n")).toHaveLength(1);
  }
});

test("a mask applies to texts and error messages, and to nothing else", () => {
  const { lines, log } = capture({ mask: (text) => text.replaceAll("s3cret", "…") });
  log
    .with({ session: "my s3cret" })
    .info("s3cret is the event's own", { line: "a s3cret b", error: new Error("no s3cret"), n: 1 });
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    event: "s3cret is the event's own",
    session: "my …",
    line: "a … b",
    error: "no …",
    n: 1,
  });
});
