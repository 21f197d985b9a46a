import { CallWatch } from "../../src/proxy/relay/call-watch.ts";
import { Children } from "../../src/proxy/relay/children.ts";
import { RelayedSession } from "../../src/proxy/relay/relayed-session.ts";
import { noTap } from "../../src/proxy/relay/tap.ts";
import { UpstreamStates } from "../../src/proxy/relay/upstream-states.ts";
import type { Upstream } from "../../src/proxy/relay/upstreams.ts";
import { dialHttp } from "../../src/wire/http.ts";
import { HttpSessions } from "../../src/wire/http-sessions.ts";
import { LineLink } from "../../src/wire/line-link.ts";
import type { Link } from "../../src/wire/link.ts";
import { acceptedWebSocket, dialWebSocket } from "../../src/wire/websocket.ts";
import type { Accepted } from "../../src/wire/websocket.ts";
import { listen } from "./links.ts";
import { quiet } from "./quiet.ts";

type Json = Record<string, unknown>;

/** The wires between a client and the proxy. */
export const clientWires = ["websocket", "http", "stdio"] as const;
export type ClientWire = (typeof clientWires)[number];

/** A client of a relayed session, over real sockets or pipes. */
export interface RelayedClient extends AsyncDisposable {
  states: UpstreamStates;
  /** Everything that the client has received, parsed. */
  received(): Json[];
  /** Sends a message, and resolves with the response to its id if it has one. */
  ask(message: Json): Promise<Json>;
  initialize(): Promise<Json>;
}

/** Relays a client over this wire to the upstream, as the proxy does. */
export async function relayedClient(
  wire: ClientWire,
  upstream: Upstream,
  children = new Children(),
): Promise<RelayedClient> {
  const states = new UpstreamStates();
  const relay = (link: Link) =>
    new RelayedSession({
      upstream: () => upstream,
      tap: noTap,
      watch: new CallWatch(() => {}),
      states,
      children,
      link,
      log: quiet,
    }).run();
  const { link, stop } = await connected[wire](relay);
  const heard = listen(link);
  const received = () => heard.frames.map((frame) => JSON.parse(frame) as Json);
  async function ask(message: Json): Promise<Json> {
    const isAnswer = (each: Json) => each["id"] === message["id"] && !("method" in each);
    const before = received().filter(isAnswer).length;
    link.send(JSON.stringify({ jsonrpc: "2.0", ...message }));
    if (message["id"] === undefined) return {};
    for (let count = 1; ; count++) {
      const answer = received().filter(isAnswer)[before];
      if (answer) return answer;
      await heard.count(Math.max(count, heard.frames.length + 1));
    }
  }
  return {
    states,
    received,
    ask,
    async initialize() {
      const capabilities = { sampling: {} };
      const params = { protocolVersion: "2025-11-25", capabilities, clientInfo: { name: "test", version: "1" } };
      const answer = await ask({ id: "hello", method: "initialize", params });
      await ask({ method: "notifications/initialized" });
      return answer;
    },
    async [Symbol.asyncDispose]() {
      link.close();
      await stop();
    },
  };
}

type Relay = (link: Link) => Promise<unknown>;

const connected: Record<ClientWire, (relay: Relay) => Promise<{ link: Link; stop: () => Promise<void> }>> = {
  async websocket(relay) {
    const server = Bun.serve<Accepted>({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request, it) =>
        it.upgrade(request, { data: { opened: (link) => void relay(link) } })
          ? undefined
          : new Response(null, { status: 400 }),
      websocket: acceptedWebSocket,
    });
    const link = await dialWebSocket({ url: `ws://127.0.0.1:${server.port}/`, headers: {} });
    return { link, stop: () => server.stop(true) };
  },
  async http(relay) {
    const sessions = new HttpSessions({ log: quiet, opened: (link) => void relay(link) });
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      idleTimeout: 0,
      fetch: (request, it) => sessions.handle(request, it),
    });
    const link = await dialHttp({ url: server.url.href, headers: {}, log: quiet });
    return {
      link,
      async stop() {
        sessions.stop();
        await server.stop(true);
      },
    };
  },
  stdio(relay) {
    const [up, down] = [new TransformStream<Uint8Array>(), new TransformStream<Uint8Array>()];
    const over = relay(lines(up.readable, down.writable));
    return Promise.resolve({ link: lines(down.readable, up.writable), stop: async () => void (await over) });
  },
};

function lines(input: ReadableStream<Uint8Array>, output: WritableStream<Uint8Array>): Link {
  const writer = output.getWriter();
  const encoder = new TextEncoder();
  const write = (piece: string | Uint8Array) => {
    void writer.write(typeof piece === "string" ? encoder.encode(piece) : piece).catch(() => {});
    return 0;
  };
  return new LineLink({
    input,
    output: { write, flush: () => 0 } as unknown as Bun.FileSink,
    end: () => writer.close().catch(() => {}),
    reason: () => Promise.resolve("its stdin has ended"),
    onNoise: () => {},
    onFailure: () => {},
  });
}
