import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, start, startServe } from "../support/binary.ts";
import type { Running } from "../support/binary.ts";
import { echoCommand } from "../support/echo-server.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import { Rpc, until } from "../support/rpc.ts";

// What is said beside plain calls, recorded and shown by the compiled binary.

const home = temporaryHome();
const picture = randomBytes(200_000);
const encoded = picture.toString("base64");
const sha256 = new Bun.CryptoHasher("sha256").update(picture).digest("hex");
const dewey = (...args: string[]) => run(args, { ...plainEnvironment(home.path), DEWEY_URL: serverUrl });
let server: Running;
let proxy: Running;
let rpc: Rpc;
let serverUrl = "";
let proxyUrl = "";

interface Message {
  role: string;
  content: string;
  metadata: Record<string, unknown>;
}

/** A server of the revision without sessions: one tool asks for a name first, the other answers with a picture in JSON. */
const stateless = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request) {
    if (request.method !== "POST") return new Response(null, { status: 405 });
    const { id, params } = (await request.json()) as { id: unknown; params: Record<string, unknown> };
    const result =
      params["name"] === "picture"
        ? { content: [{ type: "text", text: JSON.stringify({ title: "a quince", image: encoded }) }] }
        : params["requestState"] === "s"
          ? { content: [{ type: "text", text: "booked the quince" }] }
          : {
              resultType: "input_required",
              inputRequests: { who: { method: "elicitation/create", params: { message: "for whom?" } } },
              requestState: "s",
            };
    return Response.json({ jsonrpc: "2.0", id, result });
  },
});

beforeAll(async () => {
  ({ running: server, url: serverUrl } = await startServe(home.path));
  const config = join(home.path, "mcp.json");
  const stateless_ = { type: "http", url: stateless.url.href };
  writeFileSync(config, JSON.stringify({ mcpServers: { stateless: stateless_, child: echoCommand } }));
  const args = [
    "proxy",
    "--port",
    "0",
    "--config",
    config,
    "--url",
    serverUrl,
    "--spool-dir",
    join(home.path, "spool"),
  ];
  proxy = start(args, plainEnvironment(home.path));
  [, proxyUrl = ""] = await proxy.until("stderr", /"event":"relaying","url":"([^"]+)"/);
  rpc = await Rpc.open(serverUrl);
  await rpc.initialize();
});

afterAll(async () => {
  rpc.close();
  await proxy.stop();
  await server.stop();
  await stateless.stop(true);
  home[Symbol.dispose]();
});

/** The only conversation with a key, once it has this many messages. */
function recorded(session_id: string, least: number) {
  return until(`${least} messages of ${session_id}`, async () => {
    const { conversations } = (await rpc.tool("dewey_list_conversations", { session_id })) as {
      conversations: { id: string; message_count: number; metadata: Record<string, unknown> }[];
    };
    const [one] = conversations;
    if (!one || one.message_count < least) return false;
    expect(conversations).toHaveLength(1);
    const page = await rpc.tool("dewey_get_conversation", { conversation_id: one.id, full: true });
    return { ...one, messages: page["messages"] as Message[] };
  });
}

describe("requests without a session", () => {
  test("form one conversation of their client, with rounds of input and without the bytes of pictures", async () => {
    const url = `${proxyUrl.replace("ws:", "http:")}mcp?upstream=stateless&session=stateless`;
    const _meta = { "io.modelcontextprotocol/clientInfo": { name: "clio", version: "2" } };
    const call = async (params: object) => {
      const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { ...params, _meta } });
      const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
      expect((await fetch(url, { method: "POST", headers, body })).status).toBe(200);
    };
    await call({ name: "picture", arguments: {} });
    await call({ name: "book", arguments: { what: "quince" } });
    const inputResponses = { who: { action: "accept", content: { name: "Ada", seats: 2 } } };
    await call({ name: "book", arguments: { what: "quince" }, inputResponses, requestState: "s" });
    const { id, metadata, messages } = await recorded("stateless", 6);
    expect(metadata).toMatchObject({ client_name: "clio", upstream: "stateless" });
    expect(messages.map(({ content }) => content)).toEqual([
      "picture",
      `{"title":"a quince","image":"[application/octet-stream, 200000 bytes, sha256 ${sha256}]"}`,
      "book\nwhat: quince",
      "who: elicitation/create\nmessage: for whom?",
      "who: accept\nname: Ada\nseats: 2",
      "booked the quince",
    ]);
    const shown = (await dewey("show", id, "--unfold")).stdout;
    expect(shown).toContain(`200000 bytes, sha256 ${sha256}`);
    expect(shown).toContain("seats: 2");
    expect((await rpc.tool("dewey_search", { query: "seats Ada" }))["total"]).toBe(1);
  });
});

describe("a session", () => {
  test("has what a model answered, a cancelled call with the reason, and the picture that a tool has shown", async () => {
    const client = await Rpc.open(`${proxyUrl}?upstream=child&session=child`);
    client.onRequest = () => ({ role: "assistant", model: "m", content: { type: "text", text: "a sampled medlar" } });
    await client.initialize();
    await client.tool("ask");
    await client.call("tools/call", { name: "image" });
    void client.call("tools/call", { name: "slow", arguments: { ms: 60_000 } }, '"slow"').catch(() => {});
    client.send({ method: "notifications/cancelled", params: { requestId: "slow", reason: "medlars are out" } });
    const { id, messages } = await recorded("child", 9);
    client.close();
    const find = (content: string) => messages.find((each) => each.content === content);
    expect(find("a sampled medlar")).toMatchObject({ role: "user", metadata: { method: "sampling/createMessage" } });
    expect(find("cancelled: medlars are out")).toMatchObject({ metadata: { tool: "slow", outcome: "cancelled" } });
    expect((await dewey("show", id, "--unfold")).stdout).toContain("[image]\n\n[image · image/png · 6 bytes · sha256 ");
  });

  test("in which nothing was called leaves no conversation", async () => {
    const client = await Rpc.open(`${proxyUrl}?upstream=child&session=idle`);
    await client.initialize();
    await client.call("tools/list");
    client.close();
    const health = `${proxyUrl.replace("ws:", "http:")}healthz`;
    await until("an empty queue", async () => {
      const { recorder } = (await (await fetch(health)).json()) as { recorder: { queued_bytes: number } };
      return recorder.queued_bytes === 0;
    });
    expect((await rpc.tool("dewey_list_conversations", { session_id: "idle" }))["total"]).toBe(0);
  });
});
