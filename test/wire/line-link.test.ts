import { describe, expect, test } from "bun:test";
import { MAX_FRAME_BYTES } from "../../src/wire/frame.ts";
import { LineLink } from "../../src/wire/line-link.ts";
import { listen } from "../support/links.ts";
import { until } from "../support/rpc.ts";

/** A link whose streams are the test's: `flush` decides what becomes of each write. */
function open(flush: () => number | Promise<number> = () => 0) {
  const written: string[] = [];
  const noise: number[] = [];
  const failures: string[] = [];
  let ends = 0;
  let input: ReadableStreamDefaultController<Uint8Array> | undefined;
  const link = new LineLink({
    input: new ReadableStream({ start: (controller) => void (input = controller) }),
    output: { write: (text: string) => written.push(text), flush } as unknown as Bun.FileSink,
    end: () => void (ends += 1),
    reason: () => Promise.resolve("it exited"),
    onNoise: (bytes) => void noise.push(bytes),
    onFailure: (error) => void failures.push(String(error)),
  });
  return {
    link,
    heard: listen(link),
    written,
    noise,
    failures,
    ends: () => ends,
    receive: (bytes: string | Uint8Array) =>
      input?.enqueue(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes),
    endInput: (error?: Error) => (error === undefined ? input?.close() : input?.error(error)),
  };
}

describe("a link over lines", () => {
  test("reports backpressure until a write is flushed", async () => {
    const flushed = Promise.withResolvers<number>();
    const flushes: (number | Promise<number>)[] = [1, flushed.promise];
    const { link, heard, written } = open(() => flushes.shift() ?? 0);
    expect([link.send('{"a":\n1}'), link.send("{}")]).toEqual([true, false]);
    expect([written, heard.drained]).toEqual([['{"a": 1}\n', "{}\n"], 0]);
    flushed.resolve(3);
    await until("room", () => heard.drained === 1);
  });

  test("passes every JSON object and array as a frame, counts other lines as noise and ignores empty ones", async () => {
    const { heard, noise, receive, link } = open();
    const frames = ['{"jsonrpc":"2.0","method":"a"}', '[{"jsonrpc":"2.0"}]', '{"a":1}', "[1]", ' {"jsonrpc":"2.0"} '];
    receive(`${frames.join("\n\r\n\n")}\nServer "jsonrpc" starting\n7\n{oops\n"text"\n`);
    expect(await heard.count(5)).toEqual(frames);
    await until("the noise", () => noise.length === 4);
    expect(noise).toEqual([25, 1, 5, 6]);
    link.close();
  });

  test("whose output fails reads the rest of the input, then closes, and reports the failure once", async () => {
    const later = () => Promise.reject(new Error("EPIPE"));
    const atOnce = () => {
      throw new Error("EPIPE");
    };
    for (const [fail, goesOn] of [
      [later, false],
      [atOnce, true],
    ] as const) {
      const { link, heard, written, failures, receive, endInput, ends } = open(fail);
      expect(link.send("{}")).toBe(goesOn);
      await until("the failure", () => failures.length === 1);
      // Nothing more is written, and a slow peer is not what holds the sender back.
      expect([link.send("{}"), written.length]).toEqual([true, 1]);
      receive('{"jsonrpc":"2.0","method":"the last"}\n');
      await heard.count(1);
      expect([heard.closed, ends()]).toEqual([undefined, 0]);
      endInput();
      expect(await heard.end()).toBe("it exited");
      await until("the end", () => ends() === 1);
      expect(failures).toEqual(["Error: EPIPE"]);
    }
  });

  test("whose input fails is closed for the reason that its owner gives, and reports the failure", async () => {
    const { heard, failures, receive, endInput } = open();
    receive('{"jsonrpc":"2.0","method":"a"}\n{"unfinished"');
    await heard.count(1);
    endInput(new Error("EIO"));
    expect(await heard.end()).toBe("it exited");
    expect([failures, heard.frames.length]).toEqual([["Error: EIO"], 1]);
  });

  test("is closed when a frame is larger than the largest, with or without its end", async () => {
    const large = new Uint8Array(MAX_FRAME_BYTES + 1).fill(0x61);
    const whole = new Uint8Array(MAX_FRAME_BYTES + 2).fill(0x61);
    whole[MAX_FRAME_BYTES + 1] = 0x0a;
    for (const bytes of [large, whole]) {
      const { heard, receive, ends, noise } = open();
      receive(bytes);
      expect(await heard.end()).toBe(`it sent a frame of more than ${MAX_FRAME_BYTES} bytes`);
      expect([ends(), noise]).toEqual([1, []]);
    }
  });

  test("closes once, and neither sends nor delivers anything afterwards", async () => {
    const { link, heard, written, failures, receive, endInput, ends } = open();
    link.close();
    link.close();
    expect([heard.closed, ends(), link.send("{}"), written]).toEqual(["closed by Dewey", 1, true, []]);
    receive('{"jsonrpc":"2.0","method":"late"}\n');
    await Bun.sleep(1);
    endInput(new Error("EIO"));
    await Bun.sleep(1);
    expect([heard.frames, failures, heard.closed]).toEqual([[], [], "closed by Dewey"]);
  });
});
