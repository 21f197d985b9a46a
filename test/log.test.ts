import { expect, test } from "bun:test";
import { Writable } from "node:stream";
import { createLog, lineWriter } from "../src/log.ts";
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

test("a line for a terminal has the time, the level unless it is info, the event and its fields", () => {
  const { lines, log } = capture({ format: "text" });
  log.info("an event", { name: "one", reason: "two words", said: 'a"b', count: 2, none: undefined });
  log.error("another");
  expect(lines.map((line) => line.replace(/^\d\d:\d\d:\d\d /, "TIME "))).toEqual([
    'TIME an event name=one reason="two words" said="a\\"b" count=2 none=undefined\n',
    "TIME ERROR another\n",
  ]);
});

test("lines are dropped while 4 million characters are unread, and counted once they are read", () => {
  const written: string[] = [];
  const unread: (() => void)[] = [];
  const stream = new Writable({
    decodeStrings: false,
    highWaterMark: 0,
    write(line: string, _, done) {
      written.push(line);
      unread.push(done);
    },
  });
  const read = () => {
    while (unread.length > 0) unread.shift()?.();
  };
  const write = lineWriter(stream);
  const line = `${"x".repeat(999_999)}\n`;
  for (let count = 0; count < 8; count += 1) write(line);
  read();
  const kept = written.length;
  // One line more than fits: the limit is checked before a line is added.
  expect(kept).toBe(5);
  write("next\n");
  read();
  expect(JSON.parse(written[kept] ?? "")).toMatchObject({ level: "warn", dropped: 3 });
  expect(written.slice(kept + 1)).toEqual(["next\n"]);
  write("last\n");
  read();
  expect(written.slice(kept + 2)).toEqual(["last\n"]);
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

test("a value cannot act on the terminal that shows the log, nor hide in a log file", () => {
  const name = "up\u001b[2J\u202estream\u200b";
  const [terminal, file] = (["text", "json"] as const).map((format) => {
    const { lines, log } = capture({ format });
    log.info("an event", { name });
    return lines.join("");
  });
  expect(terminal).toContain("name=up␛[2J<U+202E>stream<U+200B>\n");
  expect(file).toContain("up\\u001b[2J\\u202estream\\u200b");
  expect(JSON.parse(file ?? "")).toMatchObject({ name });
});
