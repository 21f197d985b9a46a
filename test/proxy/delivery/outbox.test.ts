import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { ToolClient } from "../../../src/tool-client.ts";
import { Outbox } from "../../../src/proxy/delivery/outbox.ts";
import type { Delivery } from "../../../src/proxy/delivery/record.ts";
import { SetAside } from "../../../src/proxy/delivery/set-aside.ts";
import { quiet } from "../../support/quiet.ts";
import { until } from "../../support/rpc.ts";
import { spoolFolder } from "../../support/spool-folder.ts";

// What a store does wrong that a real one does rarely: these tests play one, over a real connection.

interface Call {
  conversation: string;
  contents: string[];
}
/** What the store does with a call: takes it, refuses it, answers something that is no answer, or nothing, or hangs up. */
type Behaviour = (call: Call) => "take" | "invalid" | "unavailable" | "internal" | "garbage" | "silence" | "hang up";

const taken: Call[] = [];
let behave: Behaviour;
let calls = 0;

function startStore() {
  return Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request, server) => (server.upgrade(request) ? undefined : new Response(null, { status: 400 })),
    websocket: {
      message(socket, text) {
        const { id, method, params } = JSON.parse(String(text));
        const answer = (result: object) => socket.send(JSON.stringify({ jsonrpc: "2.0", id, result }));
        if (method === "initialize") answer({ serverInfo: { name: "dewey" } });
        if (method !== "tools/call") return;
        calls += 1;
        const { conversation_id, messages } = params.arguments;
        const call = {
          conversation: conversation_id,
          contents: messages.map((each: { content: string }) => each.content),
        };
        const behaviour = behave(call);
        if (behaviour === "take") {
          taken.push(call);
          answer({ structuredContent: {} });
        } else if (behaviour === "garbage") {
          socket.send("what?");
          answer({ content: "none" });
        } else if (behaviour === "hang up") socket.close();
        else if (behaviour !== "silence")
          answer({
            isError: true,
            content: [{ text: JSON.stringify({ error: { code: behaviour, message: "not now" } }) }],
          });
      },
    },
  });
}

let store: ReturnType<typeof startStore>;
let client: ToolClient;
let folder: ReturnType<typeof spoolFolder>;
let setAside: SetAside;
beforeEach(() => {
  taken.length = 0;
  calls = 0;
  store = startStore();
  client = new ToolClient({ url: `ws://127.0.0.1:${store.port}/`, deadlineMs: 200 });
  folder = spoolFolder();
  mkdirSync(folder.path);
  setAside = new SetAside(folder.path);
});
afterEach(async () => {
  await client.close();
  await store.stop(true);
  folder[Symbol.dispose]();
});

const message = (conversation: string, content: string): Delivery => ({
  kind: "message",
  conversation,
  message: { message_id: "", role: "user", content, created_at: "", metadata: {} },
});

/** Puts messages into an outbox; the answer counts those that are settled. */
function put(outbox: Outbox, conversation: string, contents: string[]): { settled: number } {
  const counts = { settled: 0 };
  for (const content of contents) outbox.put(message(conversation, content), () => (counts.settled += 1));
  return counts;
}

const contentsOf = (conversation: string) =>
  taken.filter((call) => call.conversation === conversation).flatMap((call) => call.contents);

test("a record that the store does not take while it takes others is set aside in the end; meanwhile nobody waits for it", async () => {
  behave = ({ contents }) => (contents.includes("bad") ? "unavailable" : "take");
  const outbox = new Outbox({ client, setAside, log: quiet, strikesLastMs: 500 });
  const stuck = put(outbox, "stuck", ["first", "bad", "last"]);
  const other = put(outbox, "other", ["1", "2", "3"]);
  await until("the other's records", () => other.settled === 3);
  expect(setAside.isThere).toBe(false);
  const ticking = setInterval(() => put(outbox, "ticking", ["tick"]), 20);
  await until("the end of the stuck ones", () => stuck.settled === 3);
  clearInterval(ticking);
  expect(contentsOf("stuck")).toEqual(["first", "last"]);
  expect(contentsOf("ticking").length).toBeGreaterThan(20);
  expect(outbox.aside).toBe(1);
  expect(JSON.parse(readFileSync(setAside.file, "utf8"))).toMatchObject({
    reason: expect.stringContaining("not now"),
    arguments: { messages: [{ content: "bad" }] },
  });
});

test("nothing is set aside of what a store does not take that takes nothing, whatever it does instead", async () => {
  const outbox = new Outbox({ client, setAside, log: quiet, strikesLastMs: 0 });
  for (const wrong of ["unavailable", "internal", "garbage", "silence", "hang up"] as const) {
    behave = () => wrong;
    const before = calls;
    const counts = ["a", "b", "c"].map((conversation) => put(outbox, `${wrong} ${conversation}`, ["1", "2"]));
    await until("several attempts", () => calls >= before + 5);
    expect(outbox.lastError).toBeString();
    behave = () => "take";
    await until("all of them", () => counts.every(({ settled }) => settled === 2));
    for (const conversation of ["a", "b", "c"]) expect(contentsOf(`${wrong} ${conversation}`)).toEqual(["1", "2"]);
  }
  expect([outbox.aside, outbox.lastError, setAside.isThere]).toEqual([0, undefined, false]);
});

test("a store that is away is asked by one call at a time, and less and less often", async () => {
  behave = () => "unavailable";
  const outbox = new Outbox({ client, setAside, log: quiet });
  for (let number = 0; number < 100; number++) put(outbox, `${number}`, ["1"]);
  await until("the pauses to have grown", () => calls >= 8 + 3);
  // Eight went out together before it was known; after them pauses of 0.1, 0.2 and 0.4 s at least lie between the calls.
  const before = calls;
  await Bun.sleep(400);
  expect(calls - before).toBeLessThanOrEqual(1);
  behave = () => "take";
  await until("all of them", () => taken.length === 100);
});

test("holds as much in memory as it may, and says when there is room", async () => {
  behave = () => "unavailable";
  const outbox = new Outbox({ client, setAside, log: quiet });
  let count = 0;
  const large = "x".repeat(1_000_000);
  for (; !outbox.isFull; count++) put(outbox, `${count % 3}`, [large]);
  expect(count).toBe(32);
  behave = () => "take";
  await outbox.room();
  await until("all of them", () => taken.flatMap((call) => call.contents).length === count);
});

test("messages go together again soon when the store is back, however often they failed together", async () => {
  behave = () => "unavailable";
  const outbox = new Outbox({ client, setAside, log: quiet });
  const contents = Array.from({ length: 200 }, (_, index) => `${index}`);
  const counts = put(outbox, "long", contents);
  await until("several attempts", () => calls >= 4);
  behave = () => "take";
  await until("all of them", () => counts.settled === contents.length);
  expect(contentsOf("long")).toEqual(contents);
  expect(taken.length).toBeLessThanOrEqual(20);
});

test("of many messages the one that the store refuses is found in few calls, and the others are taken in their order", async () => {
  behave = ({ contents }) => (contents.includes("bad") ? "invalid" : "take");
  const outbox = new Outbox({ client, setAside, log: quiet });
  const contents = Array.from({ length: 200 }, (_, index) => (index === 77 ? "bad" : `${index}`));
  const counts = put(outbox, "long", contents);
  await until("all of them", () => counts.settled === contents.length);
  expect(contentsOf("long")).toEqual(contents.filter((content) => content !== "bad"));
  expect(outbox.aside).toBe(1);
  expect(calls).toBeLessThanOrEqual(60);
});
