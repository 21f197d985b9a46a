import { describe, expect, test } from "bun:test";
import { HttpSessions } from "../../src/wire/http-sessions.ts";
import { transportLink } from "../../src/wire/http.ts";
import type { Link } from "../../src/wire/link.ts";
import { listen } from "../support/links.ts";
import type { Listening } from "../support/links.ts";
import { quiet } from "../support/postgres.ts";
import { until } from "../support/rpc.ts";

/** An endpoint whose sessions a test serves by hand. */
function startEndpoint(idleLimitMs?: number) {
  const opened: { link: Link; heard: Listening }[] = [];
  const sessions = new HttpSessions({
    log: quiet,
    ...(idleLimitMs === undefined ? {} : { idleLimitMs }),
    opened(transport) {
      const link = transportLink(transport);
      opened.push({ link, heard: listen(link) });
    },
  });
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request, server) => sessions.handle(request, server),
  });
  const headers: Record<string, string> = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };
  const send = (message: object) =>
    fetch(server.url, { method: "POST", headers, body: JSON.stringify({ jsonrpc: "2.0", ...message }) });
  return {
    sessions,
    opened,
    send,
    stream: (more: Record<string, string> = {}) =>
      fetch(server.url, { headers: { ...headers, accept: "text/event-stream", ...more } }),
    /** Opens a session, whose requests follow on `send`. */
    async open(): Promise<{ link: Link; heard: Listening }> {
      const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } };
      const response = await send({ id: "init", method: "initialize", params });
      const session = await until("a session", () => opened.at(-1));
      session.link.send(
        JSON.stringify({
          jsonrpc: "2.0",
          id: "init",
          result: { protocolVersion: "2025-11-25", capabilities: {}, serverInfo: { name: "s", version: "1" } },
        }),
      );
      await response.text();
      headers["mcp-session-id"] = response.headers.get("mcp-session-id") ?? "";
      headers["mcp-protocol-version"] = "2025-11-25";
      return session;
    },
    async [Symbol.asyncDispose]() {
      await sessions.stop();
      await server.stop(true);
    },
  };
}

/** Reads events until one holds the text; answers everything read. */
async function readUntil(response: Response, text: string): Promise<string> {
  const decoder = new TextDecoder();
  let read = "";
  for await (const chunk of response.body ?? []) {
    read += decoder.decode(chunk, { stream: true });
    if (read.includes(text)) break;
  }
  return read;
}

describe("a session over Streamable HTTP", () => {
  test("carries frames both ways, and what a server says of a request on that request's stream", async () => {
    await using endpoint = startEndpoint();
    const { link, heard } = await endpoint.open();
    const responding = endpoint.send({
      id: 7,
      method: "tools/call",
      params: { name: "x", _meta: { progressToken: "p" } },
    });
    await heard.count(2);
    expect(JSON.parse(heard.frames[1] ?? "")).toMatchObject({ id: 7, method: "tools/call" });
    link.send(
      JSON.stringify({ jsonrpc: "2.0", method: "notifications/progress", params: { progressToken: "p", progress: 1 } }),
    );
    link.send(JSON.stringify({ jsonrpc: "2.0", id: 7, result: { unknownField: 1 } }));
    const text = await (await responding).text();
    expect(text.indexOf("notifications/progress")).toBeGreaterThan(-1);
    expect(text.indexOf('"unknownField":1')).toBeGreaterThan(text.indexOf("notifications/progress"));
  });

  test("gives a client that comes back what it has missed, and only that", async () => {
    await using endpoint = startEndpoint();
    const { link } = await endpoint.open();
    const tell = (data: string) =>
      link.send(JSON.stringify({ jsonrpc: "2.0", method: "notifications/message", params: { data } }));
    const first = await endpoint.stream();
    tell("one");
    const seen = await readUntil(first, '"one"');
    const lastId = [...seen.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? "";
    expect(lastId).not.toBe("");
    tell("two");
    tell("three");
    const missed = await readUntil(await endpoint.stream({ "last-event-id": lastId }), '"three"');
    expect(missed).toContain('"two"');
    expect(missed).not.toContain('"one"');
  });

  test("that nobody uses any more ends, and its server with it; one with an open stream does not", async () => {
    await using endpoint = startEndpoint(100);
    const idle = await endpoint.open();
    await until("the end of the idle session", () => endpoint.sessions.size === 0);
    expect(await idle.heard.end()).toContain("ended");
    await using other = startEndpoint(100);
    await other.open();
    const abort = await other.stream();
    await Bun.sleep(400);
    expect(other.sessions.size).toBe(1);
    await abort.body?.cancel();
    await until("the end of the session", () => other.sessions.size === 0);
  });
});
