import { describe, expect, test } from "bun:test";
import { DeweyError } from "../../../src/errors.ts";
import { runSession } from "../../../src/proxy/relay/session.ts";
import { noTap } from "../../../src/proxy/relay/tap.ts";
import type { Tap } from "../../../src/proxy/relay/tap.ts";
import type { Link, LinkHandlers } from "../../../src/wire/link.ts";
import { until } from "../../support/rpc.ts";

type Json = Record<string, unknown>;

/** One end of a pair of links in memory, of which a test plays the other side. */
class Peer {
  readonly received: Json[] = [];
  readonly link: Link;
  handlers: LinkHandlers | undefined;
  closed = false;
  paused = false;

  constructor(wire: Link["wire"] = "websocket") {
    this.link = {
      wire,
      open: (handlers) => (this.handlers = handlers),
      send: (frame) => {
        this.received.push(JSON.parse(frame) as Json);
        return true;
      },
      pause: () => (this.paused = true),
      resume: () => (this.paused = false),
      close: (reason) => this.end(reason ?? "closed"),
    };
  }

  say(message: Json): void {
    this.handlers?.frame(JSON.stringify({ jsonrpc: "2.0", ...message }));
  }

  end(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.handlers?.closed(reason);
  }

  heard(what: (message: Json) => boolean): Promise<Json> {
    return until("a frame", () => this.received.find(what));
  }
}

/** A tap that passes a frame at the end of the turn of the event loop in which it came, as the recorder does. */
const lateTap: Tap = { frame: (_direction, _text, pass) => setImmediate(pass), closed: () => {} };

/** A session whose upstreams a test hands out one by one. */
function start(first?: Peer | DeweyError, tap: Tap = noTap, client = new Peer()) {
  const upstreams: (Peer | DeweyError)[] = first ? [first] : [];
  const states: (string | undefined)[] = [];
  const over = runSession({
    downstream: client.link,
    upstreamName: "tools",
    tap,
    onUpstream: (reason) => states.push(reason),
    dial() {
      const next = upstreams.length > 1 ? upstreams.shift() : upstreams[0];
      if (next instanceof Peer && !next.closed) return Promise.resolve(next.link);
      return Promise.reject(
        next instanceof DeweyError
          ? next
          : new DeweyError("unavailable", "the upstream tools is not available: nobody there"),
      );
    },
  });
  return { client, over, states, use: (next: Peer | DeweyError) => upstreams.splice(0, upstreams.length, next) };
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

async function initialized(client: Peer, server: Peer): Promise<void> {
  client.say(initialize);
  await server.heard((message) => message["method"] === "initialize");
  server.say({ id: "i-1", result: hello });
  await client.heard((message) => message["id"] === "i-1");
  client.say({ method: "notifications/initialized" });
}

describe("a session whose upstream dies", () => {
  test("answers the calls that are under way at once, naming the upstream and the reason, and never repeats them", async () => {
    const [first, second] = [new Peer(), new Peer()];
    const { client, use } = start(first);
    await initialized(client, first);
    client.say({ id: 1, method: "tools/call", params: { name: "pay" } });
    client.say({ id: 2, method: "tools/call", params: { name: "pay" } });
    await first.heard((message) => message["id"] === 2);
    first.say({ id: 1, result: {} });
    use(second);
    first.end("it crashed");
    const refused = await client.heard((message) => message["id"] === 2);
    expect(refused["error"]).toMatchObject({ code: -32_023, message: expect.stringMatching(/tools.*it crashed/) });
    expect(client.received.filter((message) => message["id"] === 1)).toHaveLength(1);
    await second.heard((message) => message["method"] === "initialize");
    expect(second.received.some((message) => message["method"] === "tools/call")).toBe(false);
    expect(client.closed).toBe(false);
    client.end("bye");
  });

  test("does not answer a call again whose answer is on its way to the client", async () => {
    const [server, second] = [new Peer(), new Peer()];
    const { client, use } = start(server, lateTap);
    await initialized(client, server);
    client.say({ id: 1, method: "tools/call", params: { name: "pay" } });
    await server.heard((message) => message["id"] === 1);
    server.say({ id: 1, result: {} });
    use(second);
    server.end("it crashed");
    await second.heard((message) => message["method"] === "initialize");
    expect(client.received.filter((message) => message["id"] === 1)).toMatchObject([{ result: {} }]);
    client.end("bye");
  });

  test("passes on no answer that comes when its call has been refused", async () => {
    const [server, second] = [new Peer(), new Peer()];
    const { client, use } = start(server);
    await initialized(client, server);
    client.say({ id: 1, method: "tools/call", params: { name: "pay" } });
    await server.heard((message) => message["id"] === 1);
    use(second);
    server.end("it crashed");
    await client.heard((message) => message["id"] === 1);
    server.say({ id: 1, result: {} });
    await second.heard((message) => message["method"] === "initialize");
    expect(client.received.filter((message) => message["id"] === 1)).toHaveLength(1);
    client.end("bye");
  });

  test("tells the next one what the client has told, lets the client see nothing of it but what changed, and goes on", async () => {
    const [first, second] = [new Peer(), new Peer()];
    const { client, use } = start(first);
    await initialized(client, first);
    client.say({ id: 3, method: "logging/setLevel", params: { level: "error" } });
    client.say({ id: 4, method: "resources/subscribe", params: { uri: "a://1" } });
    client.say({ id: 5, method: "resources/subscribe", params: { uri: "a://2" } });
    client.say({ id: 6, method: "resources/unsubscribe", params: { uri: "a://1" } });
    await first.heard((message) => message["id"] === 6);
    for (const id of [3, 4, 5, 6]) first.say({ id, result: {} });
    use(second);
    first.end("restarted");
    // A frame that comes now waits, and goes after the handshake.
    client.say({ id: 7, method: "tools/list" });
    const again = await second.heard((message) => message["method"] === "initialize");
    expect(again["params"]).toEqual(initialize.params);
    expect(second.received).toHaveLength(1);
    const before = client.received.length;
    second.say({ id: again["id"], result: hello });
    await second.heard((message) => message["id"] === 7);
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
    await client.heard((message) => message["id"] === 7);
    expect(client.received.slice(before).map((message) => message["method"] ?? message["id"])).toEqual([
      "notifications/tools/list_changed",
      7,
    ]);
    client.end("bye");
  });

  test("refuses a call that waited its time for an upstream that stays away, and serves again when it is there", async () => {
    const { client, use, states } = start();
    client.say({ id: 1, method: "tools/list" });
    const refused = await client.heard((message) => message["id"] === 1);
    expect(refused["error"]).toMatchObject({ message: expect.stringContaining("nobody there") });
    expect(states.at(-1)).toContain("nobody there");
    const server = new Peer();
    use(server);
    await until("a connection", () => states.at(-1) === undefined);
    client.say({ id: 2, method: "ping" });
    await server.heard((message) => message["id"] === 2);
    client.end("bye");
  }, 30_000);

  test("says at once what does not get better by waiting", async () => {
    const startedMs = performance.now();
    const { client } = start(new DeweyError("not_found", "there is no command"));
    client.say({ id: 1, method: "initialize" });
    expect((await client.heard((message) => message["id"] === 1))["error"]).toMatchObject({
      message: "there is no command",
    });
    expect(performance.now() - startedMs).toBeLessThan(4000);
    client.end("bye");
  });

  test("reads a client no further that sends much meanwhile, and loses none of it", async () => {
    const { client, use } = start();
    for (let id = 0; id < 1000; id++) client.say({ id, method: "ping" });
    expect(client.paused).toBe(true);
    const server = new Peer();
    use(server);
    await server.heard((message) => message["id"] === 999);
    expect(server.received.map((message) => message["id"])).toEqual(Array.from({ length: 1000 }, (_, id) => id));
    expect(client.paused).toBe(false);
    client.end("bye");
  }, 20_000);

  test("ends with its client, and its upstream with it", async () => {
    const server = new Peer();
    const { client, over, states } = start(server);
    await until("a connection", () => states.length > 0);
    client.end("bye");
    await over;
    expect(server.closed).toBe(true);
  });

  test("answers what a client asks on stdio with its last breath", async () => {
    const server = new Peer();
    const { client, over } = start(server, lateTap, new Peer("stdio"));
    await initialized(client, server);
    client.say({ id: 1, method: "ping" });
    client.handlers?.closed("its stdin has ended");
    await server.heard((message) => message["id"] === 1);
    server.say({ id: 1, result: {} });
    await over;
    expect(client.received.filter((message) => message["id"] === 1)).toHaveLength(1);
  });

  test("lets the client see no answer to what only Dewey asked, also when nothing else is open", async () => {
    const [first, second] = [new Peer(), new Peer()];
    const { client, use } = start(first);
    await initialized(client, first);
    client.say({ id: 3, method: "logging/setLevel", params: { level: "error" } });
    await first.heard((message) => message["id"] === 3);
    first.say({ id: 3, result: {} });
    use(second);
    first.end("restarted");
    const again = await second.heard((message) => message["method"] === "initialize");
    second.say({ id: again["id"], result: hello });
    const level = await second.heard((message) => message["method"] === "logging/setLevel");
    second.say({ id: level["id"], result: {} });
    second.say({ method: "notifications/message", params: { level: "error", data: "last" } });
    await client.heard((message) => message["method"] === "notifications/message");
    expect(client.received.filter((message) => String(message["id"]).startsWith("dewey"))).toEqual([]);
    client.end("bye");
  });

  test("takes back what the dead one has asked the client, and gives the answer to nobody else", async () => {
    const [first, second] = [new Peer(), new Peer()];
    const { client, use } = start(first);
    await initialized(client, first);
    first.say({ id: 1, method: "sampling/createMessage", params: {} });
    first.say({ id: 2, method: "roots/list" });
    await client.heard((message) => message["id"] === 2);
    client.say({ id: 2, result: { roots: [] } });
    await first.heard((message) => message["id"] === 2);
    use(second);
    first.end("restarted");
    const taken = await client.heard((message) => message["method"] === "notifications/cancelled");
    expect(taken["params"]).toMatchObject({ requestId: 1, reason: expect.stringContaining("restarted") });
    const again = await second.heard((message) => message["method"] === "initialize");
    second.say({ id: again["id"], result: hello });
    // The client may have answered before it heard of it.
    client.say({ id: 1, result: { role: "assistant" } });
    client.say({ id: 8, method: "ping" });
    await second.heard((message) => message["id"] === 8);
    expect(second.received.some((message) => message["id"] === 1)).toBe(false);
    // An id that the new one uses is its own.
    second.say({ id: 1, method: "elicitation/create", params: {} });
    await client.heard((message) => message["method"] === "elicitation/create");
    client.say({ id: 1, result: { action: "decline" } });
    await second.heard((message) => message["id"] === 1);
    client.end("bye");
  });

  test("tells the next one that the client is initialized, also when the client said so while nobody was there", async () => {
    const [first, second] = [new Peer(), new Peer()];
    const { client, use } = start(first);
    client.say(initialize);
    await first.heard((message) => message["method"] === "initialize");
    first.say({ id: "i-1", result: hello });
    await client.heard((message) => message["id"] === "i-1");
    use(new DeweyError("not_found", "there is no command"));
    first.end("removed");
    await until("the end", () => first.closed);
    client.say({ method: "notifications/initialized" });
    client.say({ id: 2, method: "ping" });
    await client.heard((message) => message["id"] === 2);
    use(second);
    const again = await second.heard((message) => message["method"] === "initialize");
    second.say({ id: again["id"], result: hello });
    await second.heard((message) => message["method"] === "notifications/initialized");
    client.end("bye");
  }, 20_000);
});
