import { describe, expect, test } from "bun:test";
import { ResourceChanges } from "../../src/mcp/resource-changes.ts";
import { StatelessLink } from "../../src/mcp/stateless-link.ts";
import { Stateless } from "../../src/mcp/stateless.ts";
import { Subscriptions } from "../../src/mcp/subscriptions.ts";
import type { Store } from "../../src/store/store.ts";
import { tools } from "../../src/tools/tools.ts";
import { viewFrame } from "../../src/wire/frame.ts";
import type { Link } from "../../src/wire/link.ts";
import { quiet } from "../support/quiet.ts";
import { until } from "../support/rpc.ts";
import { statelessMeta, statelessRequest } from "../support/stateless-calls.ts";

type Json = Record<string, unknown>;

/** A link whose other side is the test. */
function open(stored: object = {}) {
  const audit = { shown: (actor: object) => actor };
  const store = { contexts: { get: () => null, list: () => [] }, audit, ...stored } as unknown as Store;
  const changes = new ResourceChanges(store, quiet);
  const stateless = new Stateless({
    store,
    log: quiet,
    version: "1.2.3",
    contextWrites: "on",
    offered: tools,
    onBegin: () => {},
    onCall: () => {},
    changes,
  });
  const subscriptions = new Subscriptions(stateless, changes);
  const sent: Json[] = [];
  const link: Link = {
    wire: "websocket",
    open: () => {},
    send: (frame) => sent.push(JSON.parse(frame) as Json) > 0,
    pause: () => {},
    resume: () => {},
    close: () => {},
  };
  const ours = new StatelessLink(link, stateless, subscriptions);
  const take = (message: Json) => ours.take(viewFrame(JSON.stringify({ jsonrpc: "2.0", ...message })));
  const reply = (id: unknown) =>
    until(`the reply to ${String(id)}`, () => sent.find((message) => message["id"] === id));
  const cancel = (requestId: unknown) => take({ method: "notifications/cancelled", params: { requestId } });
  return { sent, take, reply, cancel, close: () => ours.close(), subscriptions };
}

describe("a link that carries both eras", () => {
  test("answers the requests that stand alone, and leaves all others to its session", async () => {
    const { take, reply, sent } = open();
    expect(take(statelessRequest(1, "server/discover"))).toBe(true);
    expect(await reply(1)).toMatchObject({ result: { resultType: "complete", supportedVersions: ["2026-07-28"] } });
    for (const message of [
      { id: 2, method: "server/discover" },
      { id: 2, method: "initialize", params: { protocolVersion: "2025-11-25" } },
      { method: "notifications/initialized" },
      { id: 2, result: {} },
    ])
      expect(take(message)).toBe(false);
    expect(sent).toHaveLength(1);
  });

  test("names what is wrong with a request, and sends no response to a notification", async () => {
    const { take, reply, sent } = open();
    const future = { ...statelessMeta, "io.modelcontextprotocol/protocolVersion": "2027-01-01" };
    take({ id: 1, method: "tools/list", params: { _meta: future } });
    take(statelessRequest(2, "ping"));
    take(statelessRequest(3, "subscriptions/listen"));
    take({ method: "notifications/x", params: { _meta: statelessMeta } });
    const codes = [await reply(1), await reply(2), await reply(3)].map(({ error }) => (error as Json)["code"]);
    expect(codes).toEqual([-32_022, -32_601, -32_602]);
    expect(sent).toHaveLength(3);
  });

  test("cancels a request by its notification, and sends it no response", async () => {
    const aborted: boolean[] = [];
    const find = async (_: unknown, signal: AbortSignal) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      aborted.push(true);
      return { results: [], total: 0, limit: 1, offset: 0 };
    };
    const { take, cancel, sent, reply, close } = open({ search: { find } });
    const search = (id: number) =>
      take(statelessRequest(id, "tools/call", { name: "dewey_search", arguments: { query: "x" } }));
    search(1);
    // The id is taken until the response.
    search(1);
    expect(await reply(1)).toMatchObject({ error: { code: -32_600 } });
    expect([cancel(1), cancel(1), cancel("1"), cancel(undefined)]).toEqual([true, false, false, false]);
    await until("the cancellation", () => aborted.length === 1);
    // When the client leaves, everything is cancelled.
    search(2);
    close();
    await until("the cancellation", () => aborted.length === 2);
    await Bun.sleep(0);
    expect(sent).toHaveLength(1);
  });

  test("carries subscriptions, each with its id, until they are cancelled or the server stops", async () => {
    const { take, cancel, sent, subscriptions, close } = open();
    for (const id of [1, 2, 3]) take(statelessRequest(id, "subscriptions/listen", { notifications: {} }));
    expect(sent.map(({ params }) => (params as Json)["_meta"])).toEqual(
      [1, 2, 3].map((id) => ({ "io.modelcontextprotocol/subscriptionId": id })),
    );
    expect([cancel(2), subscriptions.size]).toEqual([true, 2]);
    subscriptions.stop();
    expect(sent.slice(3).map(({ id }) => id)).toEqual([1, 3]);
    expect(cancel(1)).toBe(false);
    take(statelessRequest(4, "subscriptions/listen", { notifications: {} }));
    close();
    expect(subscriptions.size).toBe(0);
  });
});
