import { describe, expect, test } from "bun:test";
import { clientWires, relayedClient } from "../../support/relayed-client.ts";

type Json = Record<string, unknown>;

/** A server over Streamable HTTP whose sessions can be forgotten, as by a restart, and that runs each call once. */
function startServer(refusal: (body: Json) => Response) {
  let sessions = new Set<string>();
  const ran: unknown[] = [];
  const refused: unknown[] = [];
  const pings: unknown[] = [];
  const handshakes: unknown[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      if (request.method !== "POST") return new Response(null, { status: 405 });
      const body = (await request.json()) as Json;
      if (body["method"] === "initialize") {
        const id = crypto.randomUUID();
        sessions.add(id);
        handshakes.push(body["id"]);
        const result = { protocolVersion: "2025-11-25", capabilities: {}, serverInfo: { name: "s", version: "1" } };
        return Response.json({ jsonrpc: "2.0", id: body["id"], result }, { headers: { "mcp-session-id": id } });
      }
      if (body["method"] === "ping") pings.push(body["id"]);
      if (body["method"] === "lost" || !sessions.has(request.headers.get("mcp-session-id") ?? "")) {
        refused.push(body["id"]);
        return refusal(body);
      }
      if (body["id"] === undefined) return new Response(null, { status: 202 });
      if (body["method"] === "faulty") return new Response("the arguments are wrong", { status: 400 });
      ran.push(body["id"]);
      return Response.json({ jsonrpc: "2.0", id: body["id"], result: { ran: ran.length } });
    },
  });
  return {
    ran,
    refused,
    pings,
    handshakes,
    restart: () => (sessions = new Set()),
    upstream: { name: "tools", wire: "http", url: server.url.href, headers: {}, record: "all" } as const,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

const call = (id: unknown, method = "tools/call") => ({ id, method, params: { name: "pay" } });

/** What servers and balancers answer to a session that they do not know. */
const refusals: Record<string, (body: Json) => Response> = {
  "404": () => Response.json({ jsonrpc: "2.0", id: null, error: { code: -32001, message: "gone" } }, { status: 404 }),
  "400": () =>
    Response.json({ jsonrpc: "2.0", id: null, error: { code: -32000, message: "no valid session" } }, { status: 400 }),
  "400 with the id of the call": ({ id }) =>
    Response.json({ jsonrpc: "2.0", id, error: { code: -32000, message: "no valid session" } }, { status: 400 }),
  "400 as text": () => new Response("No valid session ID", { status: 400 }),
};

for (const wire of clientWires) {
  describe(`a client over ${wire}, whose server has restarted behind HTTP`, () => {
    for (const [kind, refusal] of Object.entries(refusals)) {
      test(`has its calls run once, although they were refused with ${kind}`, async () => {
        await using server = startServer(refusal);
        await using client = await relayedClient(wire, server.upstream);
        await client.initialize();
        expect(await client.ask(call(1))).toMatchObject({ result: {} });
        server.restart();
        const answers = await Promise.all([2, 3, 4].map((id) => client.ask(call(id))));
        expect(answers.map(({ id, result }) => [id, typeof result])).toEqual([2, 3, 4].map((id) => [id, "object"]));
        expect([new Set(server.ran), server.ran.length, server.handshakes.length]).toEqual([
          new Set([1, 2, 3, 4]),
          4,
          2,
        ]);
        expect(server.pings.length).toBeLessThanOrEqual(1);
      });
    }
  });
}

describe("a session", () => {
  test("is kept when the server refuses one call with 400, and answers with that refusal", async () => {
    await using server = startServer(() => new Response(null, { status: 400 }));
    await using client = await relayedClient("websocket", server.upstream);
    await client.initialize();
    const { error } = await client.ask(call(1, "faulty"));
    expect(error).toMatchObject({ message: expect.stringContaining("HTTP 400: the arguments are wrong") as string });
    expect(await client.ask(call(2))).toMatchObject({ result: {} });
    expect([server.handshakes.length, server.pings.length]).toEqual([1, 1]);
  });

  test("sends a call only once more, and then names what the server said", async () => {
    await using server = startServer(() => new Response("unknown session", { status: 404 }));
    await using client = await relayedClient("websocket", server.upstream);
    await client.initialize();
    const { error } = await client.ask(call(1, "lost"));
    expect(error).toMatchObject({ message: expect.stringContaining("HTTP 404: unknown session") as string });
    expect(server.refused.filter((id) => id === 1)).toHaveLength(2);
    expect(server.ran).toEqual([]);
    expect(await client.ask(call(2))).toMatchObject({ result: {} });
  });
});
