import { expect, test } from "bun:test";
import type { AuditEntry } from "../../src/store/audit.ts";
import type { Store } from "../../src/store/store.ts";
import { testListener } from "../support/listener.ts";
import { engines } from "../support/postgres.ts";
import { Rpc, until } from "../support/rpc.ts";

const [engine] = engines;
if (!engine) throw new Error("there is no PostgreSQL");

const token = "the-right-token";
const authorized = { authorization: `Bearer ${token}` };

/** The entries as [action, outcome, count], the first first, once there are so many. */
async function entries(store: Store, number: number): Promise<AuditEntry[]> {
  const all = async () => (await store.audit.list({ limit: 100 })).entries;
  await until("the entries", async () => (await all()).length >= number);
  return (await all()).toReversed();
}

test("whoever is let in or refused has an entry and is counted, and a flood has two", async () => {
  await using served = await testListener(engine, { listener: { token } });
  const url = (path: string) => new URL(path, served.httpUrl);
  const signIn = (given: string) => fetch(url("/session"), { method: "POST", body: JSON.stringify({ token: given }) });
  for (let count = 0; count < 5; count += 1) expect((await fetch(url("/metrics"))).status).toBe(401);
  expect((await signIn("wrong")).status).toBe(401);
  expect((await fetch(url("/mcp"), { headers: { ...authorized, origin: "https://other.example" } })).status).toBe(403);
  expect((await signIn(token)).status).toBe(204);
  // The page asks for the token itself; to show it is no refusal.
  expect((await fetch(url("/"), { headers: { accept: "text/html" } })).status).toBe(200);
  const metrics = await (await fetch(url("/metrics"), { headers: authorized })).text();
  expect(metrics).toContain('\ndewey_auth_refusals_total{status="401"} 6\n');
  expect(metrics).toContain('\ndewey_auth_refusals_total{status="403"} 1\n');
  await served.listener.stop();
  const found = await entries(served.store, 4);
  expect(found.map(({ action, outcome, count }) => [action, outcome, count])).toEqual([
    ["request.refused", "unauthorized", 1],
    ["request.refused", "forbidden", 1],
    ["page.sign_in", "ok", 1],
    ["request.refused", "unauthorized", 5],
  ]);
  for (const { address } of found) expect(address).toBe("127.0.0.1");
  expect(JSON.stringify(found)).not.toContain("wrong");
});

test("an act over MCP says who did it and from where", async () => {
  await using served = await testListener(engine);
  const rpc = await Rpc.open(served.url);
  await rpc.initialize("codex");
  const { conversation_id } = await rpc.tool("dewey_begin_conversation");
  await rpc.tool("dewey_delete_conversation", { conversation_id });
  rpc.close();
  expect(await entries(served.store, 1)).toMatchObject([
    {
      action: "conversation.delete",
      target: conversation_id,
      client_name: "codex",
      client_version: "1",
      session: expect.stringMatching(/^[0-9a-f-]{36}$/),
      address: "127.0.0.1",
    },
  ]);
});

test("a change of contexts that the server does not allow is an act without permission", async () => {
  await using served = await testListener(engine, { listener: { contextWrites: "off" } });
  const rpc = await Rpc.open(served.url);
  await rpc.initialize("codex");
  await rpc.tool("dewey_set_startup_context", { name: "team", content: "x" }).catch(() => {});
  rpc.close();
  expect(await entries(served.store, 1)).toMatchObject([
    { action: "context.set", outcome: "unauthorized", client_name: "codex" },
  ]);
});

test("backups and recoveries are acts, also those that fail", async () => {
  await using served = await testListener(engine);
  const post = (path: string, body?: Uint8Array<ArrayBuffer>) =>
    fetch(new URL(path, served.httpUrl), { method: "POST", ...(body ? { body } : {}) });
  const archive = new Uint8Array(await (await post("/backup")).arrayBuffer());
  const recover = async (bytes: Uint8Array<ArrayBuffer>) => {
    const { id } = (await (await post("/recover?force=true")).json()) as { id: string };
    await post(`/recover/part?id=${id}&offset=0`, bytes);
    return post(`/recover/finish?id=${id}`);
  };
  expect((await recover(archive)).status).toBe(200);
  expect((await recover(archive.slice(0, archive.length >> 1))).status).toBe(400);
  expect((await entries(served.store, 3)).map(({ action, outcome }) => [action, outcome])).toEqual([
    ["store.backup", "ok"],
    ["store.recover", "ok"],
    ["store.recover", "invalid"],
  ]);
});
