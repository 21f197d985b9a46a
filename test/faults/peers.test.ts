import { expect, test } from "bun:test";
import { HttpSessions } from "../../src/wire/http-sessions.ts";
import { serveEcho } from "../support/echo-server.ts";
import { quiet } from "../support/quiet.ts";
import { HttpPeer } from "./peers.ts";

test("a client over HTTP gets its answers, also behind events without data", async () => {
  const sessions = new HttpSessions({ opened: serveEcho, log: quiet });
  using server = Bun.serve({ port: 0, fetch: (request, served) => sessions.handle(request, served) });
  const foreign: string[] = [];
  const peer = new HttpPeer(server.url.href, "s1hx1", (frame) => foreign.push(frame));
  const clientInfo = { name: "s1hx1", version: "1" };
  const first = await peer.call(0, "initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
  await peer.notify("notifications/initialized");
  const second = await peer.call(1, "tools/call", { name: "echo", arguments: { text: "s1hx1c1" } });
  await peer.close();
  sessions.stop();
  expect([first.error, JSON.stringify(second.result), foreign]).toEqual([
    undefined,
    JSON.stringify({ content: [{ type: "text", text: "s1hx1c1" }] }),
    [],
  ]);
});
