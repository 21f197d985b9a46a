import { expect, test } from "bun:test";
import { MAX_FRAME_BYTES } from "../../src/wire/frame.ts";
import { SseReader, sseEvent } from "../../src/wire/sse.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

test("events are parsed wherever chunks end, with both kinds of line ends, ids, comments and several lines of data", () => {
  const text =
    ': comment\r\nid: 1\r\ndata: \r\n\r\nevent: message\nid:2\ndata: {"a":\ndata: "漢🙂"}\nretry: 250\n\nunknown: x\ndata\n\ndata:last\n\n';
  const whole = new SseReader();
  const expected = [
    { id: "1", data: "" },
    { id: "2", data: '{"a":\n"漢🙂"}' },
    { id: undefined, data: "" },
    { id: undefined, data: "last" },
  ];
  expect(whole.push(bytes(text))).toEqual(expected);
  expect(whole.retryMs).toBe(250);
  for (const size of [1, 2, 3, 7]) {
    const reader = new SseReader();
    const all = bytes(text);
    const events = [];
    for (let start = 0; start < all.length; start += size)
      events.push(...reader.push(all.subarray(start, start + size)));
    expect(events).toEqual(expected);
  }
});

test("lines end with a carriage return alone as well, wherever chunks end, and an event is passed on when its last line ends", () => {
  const text = 'id: 1\rdata: {"a":\rdata: 1}\r\r: comment\r\n\ndata: la\r\ndata: st\r\n\r\n';
  const expected = [
    { id: "1", data: '{"a":\n1}' },
    { id: undefined, data: "la\nst" },
  ];
  for (const size of [1, 2, 3, 5, text.length]) {
    const reader = new SseReader();
    const events = [];
    for (let start = 0; start < text.length; start += size)
      events.push(...reader.push(bytes(text.slice(start, start + size))));
    expect(events).toEqual(expected);
  }
  expect(new SseReader().push(bytes("data: now\r\r"))).toEqual([{ id: undefined, data: "now" }]);
});

test("an event carries a frame unchanged, except for raw line breaks, which would end it", () => {
  const frame = '{"a":\r\n1,\n"b":"\\n"}';
  expect(new SseReader().push(bytes(sseEvent("s/1", frame)))).toEqual([{ id: "s/1", data: '{"a":  1, "b":"\\n"}' }]);
  expect(new SseReader().push(bytes(sseEvent("s/2", undefined)))).toEqual([{ id: "s/2", data: "" }]);
  expect(new SseReader().push(bytes(sseEvent(undefined, "{}")))).toEqual([{ id: undefined, data: "{}" }]);
});

test("an event without end is an error, and is not held in memory", () => {
  const reader = new SseReader();
  const chunk = bytes("x".repeat(16_000_000));
  const push = () => {
    for (let sent = 0; sent <= MAX_FRAME_BYTES; sent += chunk.length) reader.push(chunk);
  };
  expect(push).toThrow("larger than");
});

test("only one event is limited, not the stream, and an empty line between events is none", () => {
  const reader = new SseReader();
  const event = bytes(`\n\ndata: ${"x".repeat(16_000_000)}\n\n\n`);
  for (let sent = 0; sent <= MAX_FRAME_BYTES; sent += event.length) expect(reader.push(event)).toHaveLength(1);
});

test("comments without an empty line between them are not held, but lines of data are", () => {
  const endless = (line: string) => {
    const reader = new SseReader();
    const chunk = bytes(line);
    for (let sent = 0; sent <= MAX_FRAME_BYTES; sent += chunk.length) reader.push(chunk);
  };
  expect(() => endless(`: ${"alive ".repeat(2_000_000)}\n`)).not.toThrow();
  expect(() => endless(`data: ${"alive ".repeat(2_000_000)}\n`)).toThrow("larger than");
});

test("an id with U+0000, which no header can carry, is none", () => {
  expect(new SseReader().push(bytes("id: a\0b\ndata: x\n\n"))).toEqual([{ id: undefined, data: "x" }]);
});

test("the reconnection time is kept within bounds, so that no server is asked without a pause or never again", () => {
  const retryMs = (value: string) => {
    const reader = new SseReader();
    reader.push(new TextEncoder().encode(`retry: ${value}\n\n`));
    return reader.retryMs;
  };
  expect(["0", "250", "9".repeat(400), "-1", "soon"].map(retryMs)).toEqual([10, 250, 300_000, undefined, undefined]);
});
