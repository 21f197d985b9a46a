import { describe, expect, test } from "bun:test";
import type { Upstream } from "../../../src/proxy/relay/upstreams.ts";
import { startEverythingHttp } from "../../support/everything.ts";
import { clientWires, relayedClient } from "../../support/relayed-client.ts";
import { until } from "../../support/rpc.ts";
import { startSseServer } from "../../support/sse-server.ts";

const upstreamAt = (url: string): Upstream => ({ name: "tools", wire: "sse", url, headers: {}, record: "all" });

for (const wire of clientWires) {
  describe(`an upstream over the older HTTP+SSE, for a client over ${wire}`, () => {
    test("is relayed, and its handshake replayed when its stream ends", async () => {
      await using server = startSseServer();
      await using client = await relayedClient(wire, upstreamAt(server.url));
      await client.initialize();
      expect(await client.ask({ id: 1, method: "tools/list" })).toMatchObject({ result: { method: "tools/list" } });
      server.sessions[0]?.end();
      await until("another session", () => server.sessions.length === 2);
      expect(await client.ask({ id: 2, method: "tools/list" })).toMatchObject({ result: { method: "tools/list" } });
      expect(server.sessions[1]?.frames.map((frame) => (JSON.parse(frame) as { method: string }).method)).toEqual([
        "initialize",
        "notifications/initialized",
        "tools/list",
      ]);
    });
  });
}

test("MCP's reference server answers over the older HTTP+SSE", async () => {
  const server = await startEverythingHttp("sse");
  try {
    await using client = await relayedClient("websocket", upstreamAt(server.url));
    expect(await client.initialize()).toMatchObject({ result: { serverInfo: expect.any(Object) as object } });
    const call = { name: "echo", arguments: { message: "hello" } };
    expect(await client.ask({ id: 1, method: "tools/call", params: call })).toMatchObject({
      result: { content: [{ type: "text", text: expect.stringContaining("hello") as string }] },
    });
  } finally {
    await server.stop();
  }
});
