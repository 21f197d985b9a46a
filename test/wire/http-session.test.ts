import { describe, expect, test } from "bun:test";
import { viewFrame } from "../../src/wire/frame.ts";
import { HttpSessionLink } from "../../src/wire/http-session.ts";
import { listen } from "../support/links.ts";
import { until } from "../support/rpc.ts";

/** The text of a stream as it is read in the background. */
class Reading {
  text = "";
  isOver = false;

  constructor(stream: ReadableStream<Uint8Array> | undefined) {
    if (!stream) throw new Error("there is no stream");
    void this.#read(stream);
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) this.text += decoder.decode(chunk, { stream: true });
    this.isOver = true;
  }

  /** Frames of the events so far. */
  get frames(): string[] {
    return [...this.text.matchAll(/^data: (.+)$/gm)].map(([, data = ""]) => data);
  }

  async until(frame: string): Promise<void> {
    await until(`the frame ${frame}`, () => this.frames.includes(frame));
  }

  /** The id of the event that carries a frame. */
  idOf(frame: string): string {
    const event = this.text.split("\n\n").find((each) => each.includes(`data: ${frame}`)) ?? "";
    return /^id: (.+)$/m.exec(event)?.[1] ?? "";
  }

  async end(): Promise<string[]> {
    await until("the end of the stream", () => this.isOver);
    return this.frames;
  }
}

function open() {
  let ended = 0;
  const link = new HttpSessionLink({ ended: () => void (ended += 1) });
  const heard = listen(link);
  return {
    link,
    heard,
    ended: () => ended,
    ask: (frame: string, isResumable = false) => link.ask(frame, viewFrame(frame), isResumable),
    reading: (frame: string, isResumable = false) => new Reading(link.ask(frame, viewFrame(frame), isResumable)),
  };
}

const call = (id: unknown, token?: unknown) =>
  JSON.stringify({
    jsonrpc: "2.0",
    id,
    method: "tools/call",
    params: token === undefined ? {} : { _meta: { progressToken: token } },
  });
const result = (id: unknown) => JSON.stringify({ jsonrpc: "2.0", id, result: {} });
const progress = (token: unknown) =>
  JSON.stringify({ jsonrpc: "2.0", method: "notifications/progress", params: { progressToken: token } });
const notification = (name: string) => JSON.stringify({ jsonrpc: "2.0", method: name });
const question = JSON.stringify({ jsonrpc: "2.0", id: "q", method: "roots/list" });

describe("a request's stream", () => {
  test("carries the response and ends with it", async () => {
    const { heard, link, reading } = open();
    const stream = reading(call(1));
    expect(heard.frames).toEqual([call(1)]);
    expect(link.send(result(1))).toBe(true);
    expect(await stream.end()).toEqual([result(1)]);
    expect(stream.text).toBe(`event: message\nid: ${stream.idOf(result(1))}\ndata: ${result(1)}\n\n`);
  });

  test("of a batch ends with its last response", async () => {
    const { link, reading } = open();
    const stream = reading(`[${call(1)},${call("1")},${notification("n")}]`);
    link.send(result("1"));
    await stream.until(result("1"));
    expect(stream.isOver).toBe(false);
    link.send(`[${result(1)}]`);
    expect(await stream.end()).toEqual([result("1"), `[${result(1)}]`]);
  });

  test("is refused while the id is in flight, and opened again afterwards", async () => {
    const { link, heard, ask, reading } = open();
    const first = reading(call(1));
    expect(ask(call(1))).toBeUndefined();
    expect(ask(`[${call(2)},${call(1)}]`)).toBeUndefined();
    expect(heard.frames).toEqual([call(1)]);
    expect(ask(call("1"))).toBeDefined();
    // The refused batch has left nothing behind.
    expect(ask(call(2))).toBeDefined();
    link.send(result(1));
    await first.end();
    expect(ask(call(1))).toBeDefined();
  });

  test("begins with an event id for clients that can resume it", async () => {
    const { link, reading } = open();
    link.send(notification("on another stream"));
    const stream = reading(call(1), true);
    link.send(result(1));
    await stream.end();
    // Events are numbered through the session, so that nothing before this one is replayed.
    expect(stream.text).toMatch(/^id: [\w-]+\/1\ndata: \n\nevent: message\nid: [\w-]+\/2\n/);
  });

  test("carries the progress of its own token, of any type", async () => {
    const { link, reading } = open();
    const general = new Reading(link.listen());
    const [first, second] = [reading(call(1, 7)), reading(call(2, "7"))];
    for (const token of [7, "7", "other"]) link.send(progress(token));
    // A request of the server's whose parameters only look like progress.
    const alike = progress(7).replace('"method"', '"id":"q","method"');
    link.send(alike);
    await first.until(progress(7));
    await second.until(progress("7"));
    await general.until(alike);
    link.send(result(1));
    link.send(result(2));
    expect([await first.end(), await second.end()]).toEqual([
      [progress(7), result(1)],
      [progress("7"), result(2)],
    ]);
    expect(general.frames).toEqual([progress("other"), alike]);
  });

  test("carries other messages of the server while it is the only one, and no more when another is open", async () => {
    const { link, reading } = open();
    const general = new Reading(link.listen());
    const first = reading(call(1));
    link.send(notification("one"));
    const second = reading(call(2));
    link.send(notification("two"));
    link.send(result(1));
    link.send(notification("three"));
    link.send(result(2));
    link.send(notification("four"));
    expect(await first.end()).toEqual([notification("one"), result(1)]);
    expect(await second.end()).toEqual([notification("three"), result(2)]);
    await general.until(notification("four"));
    expect(general.frames).toEqual([notification("two"), notification("four")]);
  });

  test("carries a server's request when there is no GET stream, also with several requests open", async () => {
    const { link, reading } = open();
    reading(call(1));
    const second = reading(call(2));
    link.send(question);
    await second.until(question);
  });

  test("that lost its connection leaves a server's request to the GET stream", async () => {
    const { link, ask } = open();
    await ask(call(1))?.cancel();
    const general = new Reading(link.listen());
    link.send(question);
    await general.until(question);
  });

  test("can be resumed after an event, before and after its response", async () => {
    const { link, ask, reading } = open();
    reading(call(1));
    const stream = ask(call(2));
    link.send(progress("x"));
    await stream?.cancel();
    expect(link.isConnected).toBe(true);
    link.send(result(2));
    const resumable = reading(call(3, "t"), true);
    link.send(progress("t"));
    await resumable.until(progress("t"));
    const [id, start] = [resumable.idOf(progress("t")), resumable.text.slice(4).split("\n")[0] ?? ""];
    const resumed = new Reading(link.again(id));
    await resumable.end();
    link.send(result(3));
    expect(await resumed.end()).toEqual([result(3)]);
    expect(resumed.text).toStartWith(":\n\n");
    expect(await new Reading(link.again(start)).end()).toEqual([progress("t"), result(3)]);
    expect(await new Reading(link.again(id)).end()).toEqual([result(3)]);
    const [name = ""] = id.split("/");
    for (const unknown of ["", "x", "x/1", `${name}/`, `${name}/-1`, `${name}/1x`])
      expect(link.again(unknown)).toBeUndefined();
  });
});

describe("the GET stream", () => {
  test("carries what was sent while it was closed, once, and only the newest is open", async () => {
    const { link } = open();
    link.send(notification("early"));
    const first = new Reading(link.listen());
    await first.until(notification("early"));
    const second = new Reading(link.listen());
    await first.end();
    link.send(notification("late"));
    await second.until(notification("late"));
    expect(first.frames).toEqual([notification("early")]);
    expect(second.frames).toEqual([notification("late")]);
    expect(second.text).toStartWith(":\n\n");
    const again = new Reading(link.again(second.idOf(notification("late")).replace(/\d+$/, "0")));
    await again.until(notification("late"));
    expect(again.frames).toEqual([notification("early"), notification("late")]);
  });

  test("gets a comment when it is idle, and none while data is queued", async () => {
    const { link } = open();
    const idle = new Reading(link.listen());
    await until("its first comment", () => idle.text === ":\n\n");
    link.keepAlive();
    await until("another", () => idle.text === ":\n\n:\n\n");
    link.close();
    await idle.end();
    const busy = open().link;
    const stream = busy.listen();
    busy.keepAlive();
    const reading = new Reading(stream);
    busy.close();
    await reading.end();
    expect(reading.text).toBe(":\n\n");
  });
});

describe("a session", () => {
  test("reports backpressure from 1 MiB on, and room when the client has read it", async () => {
    const { link, heard } = open();
    const stream = link.listen();
    const large = notification("x".repeat(600_000));
    expect([link.send(large), link.send(large)]).toEqual([true, false]);
    expect(heard.drained).toBe(0);
    const reading = new Reading(stream);
    await until("room", () => heard.drained === 1);
    await until("all of it", () => reading.frames.length === 2);
    expect(heard.drained).toBe(1);
    expect(link.send(notification("y"))).toBe(true);
  });

  test("makes room when the client's connection breaks", async () => {
    const { link, heard } = open();
    const stream = link.listen();
    expect(link.send(notification("x".repeat(2_000_000)))).toBe(false);
    await stream.cancel();
    expect([heard.drained, link.isConnected]).toEqual([1, false]);
  });

  test("passes frames without requests on", () => {
    const { link, heard } = open();
    link.take(notification("n"));
    expect(heard.frames).toEqual([notification("n")]);
  });

  test("holds frames of the client back while it is paused", async () => {
    const { link } = open();
    let ready = 0;
    const wait = () => link.ready().then(() => (ready += 1));
    await wait();
    link.pause();
    const first = wait();
    link.pause();
    const second = wait();
    await Bun.sleep(1);
    expect(ready).toBe(1);
    link.resume();
    await Promise.all([first, second]);
    expect(ready).toBe(3);
    link.pause();
    const third = wait();
    link.close();
    await third;
  });

  test("that closes ends its streams, reports the reason once, and sends nothing any more", async () => {
    const { link, heard, ended, reading } = open();
    const streams = [reading(call(1)), new Reading(link.listen())];
    link.close("enough");
    link.close("again");
    expect(await heard.end()).toBe("enough");
    expect([ended(), link.isClosed]).toEqual([1, true]);
    for (const stream of streams) expect(await stream.end()).toEqual([]);
    expect(link.send(notification("x".repeat(2_000_000)))).toBe(true);
    expect(link.isConnected).toBe(false);
  });

  test("knows when its client was last there", async () => {
    const { link } = open();
    const before = link.usedMs;
    expect(before).toBeGreaterThan(0);
    const stream = link.listen();
    await Bun.sleep(2);
    await stream.cancel();
    expect(link.usedMs).toBeGreaterThan(before);
  });
});
