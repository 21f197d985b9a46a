import { afterEach, beforeEach, describe, expect, spyOn, test } from "bun:test";
import { DeweyError } from "../../../src/errors.ts";
import { CallWatch } from "../../../src/proxy/relay/call-watch.ts";
import { runSession } from "../../../src/proxy/relay/session.ts";
import type { SessionOptions } from "../../../src/proxy/relay/session.ts";
import type { Tap } from "../../../src/proxy/relay/tap.ts";
import { noTap } from "../../../src/proxy/relay/tap.ts";
import type { Link, LinkHandlers } from "../../../src/wire/link.ts";
import { stopClock } from "../../support/clock.ts";
import type { StoppedClock } from "../../support/clock.ts";

type Json = Record<string, unknown>;

let clock: StoppedClock;
let random: ReturnType<typeof spyOn<Math, "random">>;
beforeEach(() => {
  clock = stopClock();
  random = spyOn(Math, "random").mockReturnValue(0);
});
afterEach(() => {
  random.mockRestore();
  clock[Symbol.dispose]();
});

/** An in-memory link whose other side the test plays. */
class Peer {
  readonly received: Json[] = [];
  readonly link: Link;
  handlers: LinkHandlers | undefined;
  closed = false;
  /** Why the session closed it. */
  closeReason: string | undefined;
  paused = false;
  /** Whether it takes frames as fast as they are sent. */
  isFast = true;
  /** Whether it gives frames back at once, as a link does whose server no longer knows the session. */
  givesBack = false;

  constructor(wire: Link["wire"] = "websocket") {
    this.link = {
      wire,
      open: (handlers) => (this.handlers = handlers),
      send: (frame) => {
        const message = JSON.parse(frame) as Json;
        expect([message].flat().map((each) => each["jsonrpc"])).toContain("2.0");
        if (this.givesBack) this.handlers?.unsent?.(frame);
        else this.received.push(message);
        return this.isFast;
      },
      pause: () => (this.paused = true),
      resume: () => (this.paused = false),
      close: (reason) => {
        this.closeReason = reason;
        this.end(reason ?? "closed");
      },
    };
  }

  say(message: Json | Json[]): void {
    const framed = [message].flat().map((each) => ({ jsonrpc: "2.0", ...each }));
    this.handlers?.frame(JSON.stringify(Array.isArray(message) ? framed : framed[0]));
  }

  end(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.handlers?.closed(reason);
  }

  heard(what: (message: Json) => boolean): Promise<Json> {
    return clock.passUntil("a frame", () => this.received.find(what));
  }

  heardId(id: unknown): Promise<Json> {
    return this.heard((message) => message["id"] === id);
  }

  heardMethod(method: string): Promise<Json> {
    return this.heard((message) => message["method"] === method);
  }

  /** How many frames with an id it has received. */
  count(id: unknown): number {
    return this.received.filter((message) => message["id"] === id).length;
  }
}

/** A tap that passes frames at the end of the event loop's turn, like the recorder's. */
const lateTap: Tap = { frame: (_direction, _text, pass) => setImmediate(pass), closed: () => {} };

interface StartOptions extends Partial<Pick<SessionOptions, "tap" | "watch" | "isResting">> {
  client?: Peer;
}

/** A session whose upstreams the test provides. Once the current one is closed, dialling fails. */
function start(first?: Peer | DeweyError, { client = new Peer(), tap = noTap, watch, isResting }: StartOptions = {}) {
  let upstream = first;
  const states: (string | undefined)[] = [];
  const dialledMs: number[] = [];
  const over = runSession({
    downstream: client.link,
    upstreamName: "tools",
    tap,
    ...(watch ? { watch } : {}),
    ...(isResting ? { isResting } : {}),
    onUpstream: (reason) => states.push(reason),
    dial() {
      dialledMs.push(clock.nowMs);
      if (upstream instanceof Peer && !upstream.closed) return Promise.resolve(upstream.link);
      return Promise.reject(
        upstream instanceof DeweyError
          ? upstream
          : new DeweyError("unavailable", "the upstream tools is not available: not listening"),
      );
    },
  });
  return { client, over, states, dialledMs, use: (next: Peer | DeweyError) => (upstream = next) };
}

const initialize = {
  id: "i-1",
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "c", version: "1" } },
};
const hello = {
  protocolVersion: "2025-11-25",
  capabilities: { tools: { listChanged: true }, resources: { subscribe: true } },
  serverInfo: { name: "s", version: "1" },
};
const call = (id: unknown) => ({ id, method: "tools/call", params: { name: "pay" } });

async function initialized(client: Peer, server: Peer): Promise<void> {
  client.say(initialize);
  await server.heardMethod("initialize");
  server.say({ id: "i-1", result: hello });
  await client.heardId("i-1");
  client.say({ method: "notifications/initialized" });
}

/** Answers the replayed initialize. */
async function replayed(server: Peer): Promise<void> {
  const again = await server.heardMethod("initialize");
  server.say({ id: again["id"], result: hello });
}

describe("calls in flight when the upstream dies", () => {
  test("are answered at once with an error that names the upstream and the reason, and never repeated", async () => {
    const [first, second] = [new Peer(), new Peer()];
    const { client, use } = start(first);
    await initialized(client, first);
    client.say(call(1));
    client.say(call(2));
    await first.heardId(2);
    first.say({ id: 1, result: {} });
    use(second);
    first.end("it crashed");
    const refused = await client.heardId(2);
    expect(refused["error"]).toMatchObject({ code: 503, message: expect.stringMatching(/tools.*it crashed/) });
    expect(client.count(1)).toBe(1);
    await second.heardMethod("initialize");
    expect(second.received.some((message) => message["method"] === "tools/call")).toBe(false);
    expect(client.closed).toBe(false);
  });

  test("are answered individually when they came in a batch", async () => {
    const server = new Peer();
    const { client } = start(server);
    await initialized(client, server);
    client.handlers?.frame(JSON.stringify([1, 2, 3].map((id) => ({ jsonrpc: "2.0", ...call(id) }))));
    await clock.pass(1);
    server.handlers?.frame(JSON.stringify([{ jsonrpc: "2.0", id: 2, result: {} }]));
    server.end("it crashed");
    await client.heardId(3);
    expect([client.count(1), client.count(2), client.count(3)]).toEqual([1, 0, 1]);
  });

  test("are not answered twice if the answer is still held by the tap", async () => {
    const [server, second] = [new Peer(), new Peer()];
    const { client, use } = start(server, { tap: lateTap });
    await initialized(client, server);
    client.say(call(1));
    await server.heardId(1);
    server.say({ id: 1, result: {} });
    use(second);
    server.end("it crashed");
    await second.heardMethod("initialize");
    expect(client.received.filter((message) => message["id"] === 1)).toMatchObject([{ result: {} }]);
  });

  test("are not answered again by late frames of the dead upstream", async () => {
    const [server, second] = [new Peer(), new Peer()];
    const { client, use } = start(server);
    await initialized(client, server);
    client.say(call(1));
    await server.heardId(1);
    use(second);
    server.end("it crashed");
    await client.heardId(1);
    server.say({ id: 1, result: {} });
    await second.heardMethod("initialize");
    expect(client.count(1)).toBe(1);
  });

  test("are answered once, also when the next upstream answers them as well", async () => {
    const [server, second] = [new Peer(), new Peer()];
    const { client, use } = start(server);
    await initialized(client, server);
    client.say(call(1));
    await server.heardId(1);
    use(second);
    server.end("it crashed");
    await client.heardId(1);
    await replayed(second);
    second.say({ id: 1, result: {} });
    second.say([{ id: 1, result: {} }]);
    client.say(call(2));
    await second.heardId(2);
    second.say({ id: 2, result: {} });
    await client.heardId(2);
    expect(client.received.filter((message) => [message].flat().some(({ id }) => id === 1))).toMatchObject([
      { id: 1, error: { code: 503 } },
    ]);
  });

  test("that the upstream gives back while they are sent run at the next one, and are answered once", async () => {
    const [server, next] = [new Peer(), new Peer()];
    const { client, use } = start(server);
    await initialized(client, server);
    server.givesBack = true;
    client.say(call(7));
    use(next);
    server.end("its session is gone");
    await replayed(next);
    await next.heardId(7);
    next.say({ id: 7, result: { paid: true } });
    await client.heard(({ id, result }) => id === 7 && result !== undefined);
    expect([client.count(7), next.count(7)]).toEqual([1, 1]);
  });

  test("sent right after the end wait for the next upstream", async () => {
    const [first, second] = [new Peer(), new Peer()];
    const { client, use } = start(first);
    await initialized(client, first);
    use(second);
    first.end("it crashed");
    client.say(call(1));
    await replayed(second);
    await second.heardId(1);
    expect(first.count(1)).toBe(0);
  });
});

describe("the next upstream", () => {
  test("gets the client's handshake, log level and subscriptions; the client sees only list changes", async () => {
    const [first, second] = [new Peer(), new Peer()];
    const { client, use } = start(first);
    await initialized(client, first);
    client.say({ id: 3, method: "logging/setLevel", params: { level: "error" } });
    client.say({ id: 4, method: "resources/subscribe", params: { uri: "a://1" } });
    client.say({ id: 5, method: "resources/subscribe", params: { uri: "a://2" } });
    client.say({ id: 6, method: "resources/unsubscribe", params: { uri: "a://1" } });
    await first.heardId(6);
    for (const id of [3, 4, 5, 6]) first.say({ id, result: {} });
    use(second);
    first.end("restarted");
    // A frame sent now waits for the end of the handshake.
    client.say({ id: 7, method: "tools/list" });
    const again = await second.heardMethod("initialize");
    expect(again["params"]).toEqual(initialize.params);
    expect(second.received).toHaveLength(1);
    const before = client.received.length;
    second.say({ id: again["id"], result: hello });
    await second.heardId(7);
    expect(second.received.map((message) => message["method"])).toEqual([
      "initialize",
      "notifications/initialized",
      "logging/setLevel",
      "resources/subscribe",
      "tools/list",
    ]);
    expect(second.received[3]?.["params"]).toEqual({ uri: "a://2" });
    for (const message of second.received.slice(2, 4)) second.say({ id: message["id"], result: {} });
    second.say({ id: 7, result: { tools: [] } });
    await client.heardId(7);
    expect(client.received.slice(before).map((message) => message["method"] ?? message["id"])).toEqual([
      "notifications/tools/list_changed",
      7,
    ]);
  });

  test("gets no initialize if the client never sent one", async () => {
    const [first, second] = [new Peer(), new Peer()];
    const { client, use } = start(first);
    client.say({ id: 1, method: "server/discover" });
    await first.heardId(1);
    use(second);
    first.end("restarted");
    client.say({ id: 2, method: "server/discover" });
    await second.heardId(2);
    expect(second.received).toHaveLength(1);
    expect(client.received.some((message) => "method" in message)).toBe(false);
  });

  test("gets no initialize if the client's own was refused", async () => {
    const [first, second] = [new Peer(), new Peer()];
    const { client, use } = start(first);
    client.say(initialize);
    await first.heardMethod("initialize");
    use(second);
    first.end("it crashed");
    expect(await client.heardId("i-1")).toHaveProperty("error");
    // The id is reused, and that answer is not the one to initialize.
    client.say({ id: "i-1", method: "ping" });
    await second.heardId("i-1");
    second.say({ id: "i-1", result: {} });
    await clock.passUntil("the answer", () => client.count("i-1") === 2);
    const third = new Peer();
    use(third);
    second.end("it crashed");
    client.say({ id: 2, method: "ping" });
    await third.heardId(2);
    expect([second.received.length, third.received.length]).toEqual([1, 1]);
  });

  test("gets notifications/initialized even if the client sent it during the outage", async () => {
    const [first, second] = [new Peer(), new Peer()];
    const { client, use } = start(first);
    client.say(initialize);
    await first.heardMethod("initialize");
    first.say({ id: "i-1", result: hello });
    await client.heardId("i-1");
    use(new DeweyError("not_found", "there is no command"));
    first.end("removed");
    client.say({ method: "notifications/initialized" });
    client.say({ id: 2, method: "ping" });
    await client.heardId(2);
    use(second);
    await replayed(second);
    await second.heardMethod("notifications/initialized");
  });

  test("is abandoned if it does not answer initialize within ten seconds", async () => {
    const [first, silent, third] = [new Peer(), new Peer(), new Peer()];
    const { client, use, states } = start(first);
    await initialized(client, first);
    use(silent);
    first.end("restarted");
    await silent.heardMethod("initialize");
    await clock.pass(9900);
    expect(silent.closed).toBe(false);
    use(third);
    await clock.pass(200);
    expect(silent.closed).toBe(true);
    expect(states.slice(1)).not.toContain(undefined);
    await replayed(third);
    await client.heardMethod("notifications/tools/list_changed");
    client.say({ id: 2, method: "ping" });
    await third.heardId(2);
    expect(silent.received).toHaveLength(1);
  });

  test("that did not answer in time, or refused, is named as the cause", async () => {
    const [first, silent, refusing, odd] = [new Peer(), new Peer(), new Peer(), new Peer()];
    const { client, use, states } = start(first);
    await initialized(client, first);
    use(silent);
    first.end("restarted");
    await silent.heardMethod("initialize");
    use(refusing);
    await clock.passUntil("the end", () => silent.closed);
    expect(states.at(-1)).toBe("the upstream tools is gone: it did not answer initialize within 10 seconds");
    const again = await refusing.heardMethod("initialize");
    refusing.say({ id: again["id"], error: { code: -32_603, message: "no licence" } });
    await clock.passUntil("the end", () => refusing.closed);
    expect(states.at(-1)).toBe("the upstream tools is gone: it refused initialize: no licence");
    client.say({ id: 9, method: "ping" });
    expect((await client.heardId(9))["error"]).toMatchObject({ message: states.at(-1) ?? "" });
    use(odd);
    const third = await odd.heardMethod("initialize");
    odd.say({ id: third["id"], error: { message: { toString: 1, valueOf: 1 } } });
    await clock.passUntil("the end", () => odd.closed);
    expect(states.at(-1)).toBe("the upstream tools is gone: it refused initialize: no reason was given");
  });

  test("is given as long to initialize as the first one took, and a command minutes", async () => {
    for (const [wire, firstMs, laterMs] of [
      ["http", 40_000, 40_000],
      ["stdio", 60_000, 60_000],
      ["stdio", 1000, 120_000],
    ] as const) {
      const [first, second] = [new Peer(wire), new Peer(wire)];
      const { client, use, states } = start(first);
      client.say(initialize);
      await first.heardMethod("initialize");
      await clock.pass(firstMs);
      first.say({ id: "i-1", result: hello });
      await client.heardId("i-1");
      use(second);
      first.end("crashed");
      const again = await second.heardMethod("initialize");
      client.say({ id: 3, method: "ping" });
      // Meanwhile requests are refused with the cause of the outage.
      expect((await client.heardId(3))["error"]).toMatchObject({ message: "the upstream tools is gone: crashed" });
      await clock.pass(laterMs);
      expect(second.closed).toBe(false);
      second.say({ id: again["id"], result: hello });
      await clock.passUntil("the connection", () => states.at(-1) === undefined);
      client.say({ id: 2, method: "ping" });
      await second.heardId(2);
    }
  });

  test("is started after longer and longer pauses while it dies in the handshake, however long that takes", async () => {
    const first = new Peer("stdio");
    const { client, use, dialledMs } = start(first);
    await initialized(client, first);
    let next = new Peer("stdio");
    use(next);
    first.end("crashed");
    const pausesMs: number[] = [];
    for (let attempt = 0; attempt < 6; attempt++) {
      const crashing = next;
      await crashing.heardMethod("initialize");
      await clock.pass(8000);
      next = new Peer("stdio");
      use(next);
      const before = dialledMs.length;
      const crashedMs = clock.nowMs;
      crashing.end("crashed again");
      await clock.passUntil("the next attempt", () => dialledMs.length > before);
      pausesMs.push((dialledMs.at(-1) ?? 0) - crashedMs);
    }
    expect(pausesMs).toEqual([200, 400, 800, 1600, 3200, 6400]);
  });

  test("may die during the handshake, and is replaced by another", async () => {
    const [first, second, third] = [new Peer(), new Peer(), new Peer()];
    const { client, use } = start(first);
    await initialized(client, first);
    use(second);
    first.end("restarted");
    await second.heardMethod("initialize");
    use(third);
    second.end("crashed again");
    client.say({ id: 2, method: "ping" });
    await replayed(third);
    await third.heardId(2);
    expect(second.received).toHaveLength(1);
  });

  test("does not show the client its answers to Dewey's own requests", async () => {
    const [first, second] = [new Peer(), new Peer()];
    const { client, use } = start(first);
    await initialized(client, first);
    client.say({ id: 3, method: "logging/setLevel", params: { level: "error" } });
    await first.heardId(3);
    first.say({ id: 3, result: {} });
    use(second);
    first.end("restarted");
    await replayed(second);
    const level = await second.heardMethod("logging/setLevel");
    second.say({ id: level["id"], result: {} });
    second.say({ method: "notifications/message", params: { level: "error", data: "last" } });
    await client.heardMethod("notifications/message");
    expect(client.received.filter((message) => String(message["id"]).startsWith("dewey"))).toEqual([]);
  });
});

describe("requests of a dead upstream", () => {
  test("are cancelled, and late answers to them are dropped", async () => {
    const [first, second] = [new Peer(), new Peer()];
    const { client, use } = start(first);
    await initialized(client, first);
    first.say({ id: 1, method: "sampling/createMessage", params: {} });
    first.say({ id: 2, method: "roots/list" });
    await client.heardId(2);
    client.say({ id: 2, result: { roots: [] } });
    await first.heardId(2);
    use(second);
    first.end("restarted");
    const taken = await client.heardMethod("notifications/cancelled");
    expect(taken["params"]).toMatchObject({ requestId: 1, reason: expect.stringContaining("restarted") });
    await replayed(second);
    // The client may have answered before it received the cancellation.
    client.say({ id: 1, result: { role: "assistant" } });
    client.say({ id: 8, method: "ping" });
    await second.heardId(8);
    expect(second.count(1)).toBe(0);
    // The id is free once the late answer was dropped.
    client.say({ id: 1, result: {} });
    await second.heardId(1);
    expect(client.received.filter(({ method }) => method === "notifications/cancelled")).toHaveLength(1);
  });

  test("do not block the next upstream's requests with the same ids", async () => {
    const [first, second] = [new Peer(), new Peer()];
    const { client, use } = start(first);
    await initialized(client, first);
    first.say({ id: 1, method: "sampling/createMessage", params: {} });
    await client.heardId(1);
    use(second);
    first.end("restarted");
    await replayed(second);
    second.say({ id: 1, method: "elicitation/create", params: {} });
    await client.heardMethod("elicitation/create");
    client.say({ id: 1, result: { action: "decline" } });
    await second.heardId(1);
  });
});

describe("during an outage", () => {
  test("a request waits five seconds and is then refused with the reason", async () => {
    const { client, use, states } = start();
    client.say({ id: 1, method: "tools/list" });
    await clock.pass(4900);
    expect(client.received).toEqual([]);
    await clock.pass(200);
    const [refused] = client.received;
    expect(refused?.["error"]).toMatchObject({ code: 503, message: expect.stringContaining("not listening") });
    expect(states.at(-1)).toContain("not listening");
    const server = new Peer();
    use(server);
    await clock.passUntil("a connection", () => states.at(-1) === undefined && states.length > 1);
    client.say({ id: 2, method: "ping" });
    await server.heardId(2);
  });

  test("the five seconds count from the beginning of the outage", async () => {
    const { client } = start();
    await clock.pass(4000);
    client.say({ id: 1, method: "ping" });
    await clock.pass(900);
    expect(client.received).toEqual([]);
    await clock.pass(200);
    expect(client.count(1)).toBe(1);
    client.say({ id: 2, method: "ping" });
    expect(client.count(2)).toBe(1);
  });

  test("each outage has its own five seconds", async () => {
    const server = new Peer();
    const { client, use } = start();
    await clock.pass(4000);
    use(server);
    await clock.passUntil("a connection", () => server.handlers);
    await clock.pass(60_000);
    server.end("it crashed");
    client.say({ id: 1, method: "ping" });
    await clock.pass(4000);
    expect(client.received).toEqual([]);
    await clock.pass(1100);
    expect(client.count(1)).toBe(1);
  });

  test("a request is refused at once when waiting would not help", async () => {
    const { client } = start(new DeweyError("not_found", "there is no command"));
    client.say({ id: 1, method: "initialize" });
    await clock.pass(10);
    expect(client.received[0]?.["error"]).toMatchObject({ code: 404, message: "there is no command" });
  });

  test("a client is paused after a thousand frames, and none is lost", async () => {
    const { client, use } = start();
    for (let id = 0; id < 999; id++) client.say({ id, method: "ping" });
    expect(client.paused).toBe(false);
    client.say({ id: 999, method: "ping" });
    expect(client.paused).toBe(true);
    const server = new Peer();
    use(server);
    await server.heardId(999);
    expect(server.received.map((message) => message["id"])).toEqual(Array.from({ length: 1000 }, (_, id) => id));
    expect(client.paused).toBe(false);
  });

  test("a client is paused after 16 MB, and the next outage has its own 16 MB", async () => {
    const { client, use } = start();
    const large = (id: number) => ({ id, method: "ping", params: { text: "x".repeat(4_000_000) } });
    for (let id = 0; id < 3; id++) client.say(large(id));
    expect(client.paused).toBe(false);
    client.say(large(3));
    expect(client.paused).toBe(true);
    const server = new Peer();
    use(server);
    await server.heardId(3);
    expect(client.paused).toBe(false);
    server.end("it crashed");
    client.say(large(4));
    expect(client.paused).toBe(false);
  });

  test("the upstream is dialled with pauses that double up to 15 seconds, plus jitter", async () => {
    const { dialledMs } = start();
    await clock.pass(90_000);
    const pauses = dialledMs.slice(1).map((time, index) => time - (dialledMs[index] ?? 0));
    expect(pauses.slice(0, 9)).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 15_000]);
    random.mockReturnValue(0.5);
    await clock.pass(60_000);
    const [before = 0, last = 0] = dialledMs.slice(-2);
    expect(last - before).toBe(22_500);
  });

  test("the pauses start over after a connection of more than five seconds", async () => {
    for (const [lastsMs, pauseMs] of [
      [4900, 3200],
      [5100, 100],
    ] as const) {
      const { use, dialledMs } = start();
      await clock.pass(1700);
      const server = new Peer();
      use(server);
      await clock.passUntil("a connection", () => server.handlers);
      const connectedMs = clock.nowMs;
      await clock.pass(lastsMs);
      const dials = dialledMs.length;
      server.end("it crashed");
      await clock.passUntil("the next attempt", () => dialledMs.length > dials);
      expect((dialledMs.at(-1) ?? 0) - connectedMs - lastsMs).toBeWithin(pauseMs, pauseMs + 5);
    }
  });
});

describe("backpressure", () => {
  test("pauses the client until the upstream has drained", async () => {
    const server = new Peer();
    const { client } = start(server);
    await clock.passUntil("a connection", () => server.handlers);
    client.say({ id: 1, method: "ping" });
    expect(client.paused).toBe(false);
    server.isFast = false;
    client.say({ id: 2, method: "ping" });
    expect(client.paused).toBe(true);
    server.handlers?.drained();
    expect(client.paused).toBe(false);
  });

  test("pauses the upstream until the client has drained", async () => {
    const server = new Peer();
    const { client } = start(server);
    await clock.passUntil("a connection", () => server.handlers);
    server.say({ method: "notifications/message" });
    expect(server.paused).toBe(false);
    client.isFast = false;
    server.say({ method: "notifications/message" });
    expect(server.paused).toBe(true);
    client.handlers?.drained();
    expect(server.paused).toBe(false);
  });

  test("resumes an upstream that was paused during the handshake", async () => {
    const [first, second] = [new Peer(), new Peer()];
    const { client, use } = start(first);
    await initialized(client, first);
    client.isFast = false;
    use(second);
    first.end("restarted");
    await second.heardMethod("initialize");
    second.say({ method: "notifications/message" });
    expect(second.paused).toBe(true);
    client.handlers?.drained();
    expect(second.paused).toBe(false);
  });
});

describe("an upstream that rests", () => {
  test("ends the subscriptions that it had, and is dialled again for the next frame", async () => {
    const [first, second] = [new Peer(), new Peer()];
    let isResting = false;
    const { client, use, dialledMs } = start(first, { isResting: () => isResting });
    client.say({ id: 1, method: "subscriptions/listen" });
    await first.heardId(1);
    isResting = true;
    use(second);
    first.end("it was idle");
    expect(await client.heardId(1)).toMatchObject({ error: { message: expect.stringContaining("it was idle") } });
    await clock.pass(60_000);
    expect(dialledMs).toHaveLength(1);
    isResting = false;
    client.say(call(2));
    await second.heardId(2);
  });
});

describe("the end of a session", () => {
  test("follows its client's, and closes the upstream", async () => {
    const server = new Peer();
    const reasons: string[] = [];
    const { client, over } = start(server, { tap: { ...noTap, closed: (reason) => reasons.push(reason) } });
    await clock.passUntil("a connection", () => server.handlers);
    client.end("bye");
    await over;
    expect([server.closeReason, reasons]).toEqual(["the client has left", ["the client has left: bye"]]);
    await clock.pass(60_000);
    expect(reasons).toHaveLength(1);
  });

  test("closes an upstream in the middle of the handshake", async () => {
    const [first, second] = [new Peer(), new Peer()];
    const { client, use, over } = start(first);
    await initialized(client, first);
    use(second);
    first.end("restarted");
    await second.heardMethod("initialize");
    client.end("bye");
    await over;
    expect(second.closed).toBe(true);
  });

  test("closes an upstream whose connection comes too late", async () => {
    const server = new Peer();
    const client = new Peer();
    const connected = Promise.withResolvers<Link>();
    let dials = 0;
    const over = runSession({
      downstream: client.link,
      upstreamName: "tools",
      tap: noTap,
      onUpstream: () => {},
      dial() {
        dials += 1;
        return connected.promise;
      },
    });
    client.end("bye");
    await over;
    connected.resolve(server.link);
    await clock.pass(60_000);
    expect([server.closed, dials]).toEqual([true, 1]);
  });

  test("stops dialling", async () => {
    const { client, over, dialledMs } = start();
    await clock.pass(1000);
    client.end("bye");
    await over;
    const dials = dialledMs.length;
    await clock.pass(60_000);
    expect(dialledMs).toHaveLength(dials);
  });

  test("comes when the upstream has what the client sent before it left", async () => {
    const server = new Peer();
    const finished = Promise.withResolvers<void>();
    Object.assign(server.link, { finished: finished.promise });
    const { client, over } = start(server, { tap: lateTap });
    let isOver = false;
    void over.then(() => (isOver = true));
    await initialized(client, server);
    for (const id of [1, 2]) client.say({ id, method: "ping" });
    client.end("bye");
    await clock.passUntil("the close", () => server.closed);
    expect([server.count(1), server.count(2)]).toEqual([1, 1]);
    await clock.pass(1000);
    expect(isOver).toBe(false);
    finished.resolve();
    await over;
  });

  test("waits for an upstream that is being dialled, which gets what the client sent before it left", async () => {
    const server = new Peer();
    const { client, over, use } = start();
    client.say({ method: "notifications/a" });
    client.end("bye");
    await clock.pass(500);
    use(server);
    await server.heardMethod("notifications/a");
    await clock.passUntil("the end", () => server.closed);
    await over;
    expect(server.closeReason).toBe("the client has left");
  });

  test("comes without the upstream when it stays away", async () => {
    const { client, over } = start();
    client.say({ method: "notifications/a" });
    client.end("bye");
    let isOver = false;
    void over.then(() => (isOver = true));
    await clock.passUntil("the end", () => isOver, 10);
    expect(clock.nowMs).toBeLessThan(10_000);
  });

  test("comes at once on stdio when no request is open", async () => {
    const server = new Peer();
    const { client, over } = start(server, { tap: lateTap, client: new Peer("stdio") });
    await initialized(client, server);
    client.say({ id: 1, method: "ping" });
    await server.heardId(1);
    server.say({ id: 1, result: {} });
    await client.heardId(1);
    const endedMs = clock.nowMs;
    client.handlers?.closed("its stdin has ended");
    await clock.passUntil("the end", () => client.closed);
    await over;
    expect(clock.nowMs - endedMs).toBeLessThan(50);
  });

  test("waits on stdio for the answers to open requests", async () => {
    const server = new Peer();
    const reasons: string[] = [];
    const tap = { ...lateTap, closed: (reason: string) => reasons.push(reason) };
    const { client, over } = start(server, { tap, client: new Peer("stdio") });
    await initialized(client, server);
    client.say({ id: 1, method: "ping" });
    client.handlers?.closed("its stdin has ended");
    await server.heardId(1);
    await clock.pass(20_000);
    expect(client.closed).toBe(false);
    server.say({ id: 1, result: {} });
    await clock.passUntil("the end", () => client.closed);
    await over;
    expect([client.count(1), reasons]).toEqual([1, ["the client has left: its stdin has ended"]]);
  });

  test("waits on stdio for an upstream while requests wait for it", async () => {
    const server = new Peer();
    const { client, over, use } = start(undefined, { client: new Peer("stdio") });
    client.say({ id: 1, method: "ping" });
    client.handlers?.closed("its stdin has ended");
    await clock.pass(1000);
    use(server);
    await server.heardId(1);
    server.say({ id: 1, result: {} });
    await clock.passUntil("the end", () => client.closed);
    await over;
    expect(client.count(1)).toBe(1);
  });

  test("waits at most thirty seconds on stdio", async () => {
    const server = new Peer();
    const { client, over } = start(server, { client: new Peer("stdio") });
    await clock.passUntil("a connection", () => server.handlers);
    client.say({ id: 1, method: "ping" });
    client.handlers?.closed("its stdin has ended");
    await clock.pass(29_900);
    expect(client.closed).toBe(false);
    await clock.pass(200);
    await over;
    expect([client.closed, server.closed]).toEqual([true, true]);
  });
});

test("a tap sees every frame with its direction, including Dewey's own to the client", async () => {
  const server = new Peer();
  const seen: string[] = [];
  const tap: Tap = {
    frame(direction, { text }, pass) {
      const { id = "cancelled" } = JSON.parse(text) as { id?: number };
      seen.push(`${direction} ${id}`);
      pass();
    },
    closed: () => {},
  };
  const { client } = start(server, { tap });
  await clock.passUntil("a connection", () => server.handlers);
  client.say(call(1));
  server.say({ id: 2, method: "roots/list" });
  server.end("it crashed");
  await client.heardMethod("notifications/cancelled");
  expect(seen).toEqual(["up 1", "down 2", "down 1", "down cancelled"]);
});

test("a watch sees the client's requests and their answers; the oldest of too many count as unanswered", async () => {
  const server = new Peer();
  const outcomes: string[] = [];
  const watch = new CallWatch((outcome) => outcomes.push(outcome));
  const { client } = start(server, { watch });
  await clock.passUntil("a connection", () => server.handlers);
  for (let id = 1; id <= 10_000; id++) client.say(call(id));
  expect([watch.size, outcomes]).toEqual([10_000, []]);
  client.say(call(10_001));
  expect([watch.size, outcomes]).toEqual([10_000, ["unanswered"]]);
  server.say({ id: 2, result: {} });
  server.say({ id: 3, error: { code: -32_602, message: "no such tool" } });
  expect([watch.size, outcomes.slice(1)]).toEqual([9998, ["success", "error"]]);
  server.end("it crashed");
  await clock.passUntil("the refusals", () => watch.size === 0);
  expect(outcomes.at(-1)).toBe("unavailable");
});
