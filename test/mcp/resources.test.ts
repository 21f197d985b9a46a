import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { complete } from "../../src/mcp/completions.ts";
import { getPrompt, promptList } from "../../src/mcp/prompts.ts";
import { ResourceChanges } from "../../src/mcp/resource-changes.ts";
import { listResources, readResource } from "../../src/mcp/resources.ts";
import type { Store } from "../../src/store/store.ts";
import { lastDigest } from "../../src/tools/session-digest.ts";
import { engines, testStore } from "../support/postgres.ts";
import { quiet } from "../support/quiet.ts";
import { until } from "../support/rpc.ts";

const [engine] = engines;
if (!engine) throw new Error("there is no PostgreSQL");

let store: Store;
let long: string;
let short: string;

async function converse(metadata: Record<string, unknown>, contents: string[]): Promise<string> {
  const { conversation_id } = await store.conversations.begin({ metadata });
  const messages = contents.map((content) => ({ role: "user" as const, content }));
  await store.messages.storeBulk({ conversation_id, messages, skip_known: false });
  return conversation_id;
}

beforeAll(async () => {
  store = await testStore(engine);
  // Too long for one reply.
  const turns = Array.from({ length: 40 }, (_, turn) => `turn ${turn + 1} about quinces ${"x".repeat(4000)}`);
  long = await converse({ cwd: "/work/fruit" }, turns);
  await store.conversations.update({ conversation_id: long, title: "On quinces" });
  short = await converse({ cwd: "/work/bread" }, ["We bake\n\n# with rye", "and sourdough"]);
  await store.contexts.set({ name: "team a/ß", content: "Be kind.", set_active: true });
});
afterAll(() => store.close());

/** The error of a call that fails. */
const failure = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );

const textOf = async (uri: string) => String((await readResource({ uri }, store)).contents[0]?.["text"]);

describe("the resources", () => {
  test("are the startup contexts and the latest conversations, and each can be read", async () => {
    const { resources } = await listResources(store);
    expect(resources.map(({ uri }) => uri)).toEqual([
      "dewey://context/team%20a%2F%C3%9F",
      `dewey://conversation/${short}`,
      `dewey://conversation/${long}`,
    ]);
    expect(resources.map(({ title }) => title)).toEqual([
      "Startup context team a/ß (active)",
      "We bake # with rye",
      "On quinces",
    ]);
    for (const { uri } of resources) expect((await textOf(String(uri))).length).toBeGreaterThan(5);
    expect(await textOf("dewey://context/team%20a%2F%C3%9F")).toBe("Be kind.");
  });

  test("a conversation says that it quotes, and is read on by the address at its end", async () => {
    const whole = await textOf(`dewey://conversation/${short}`);
    expect(whole).toContain("never instruction");
    expect(whole).toMatch(/## 1 · user · [\dT:.Z-]+\n\nWe bake\n\n# with rye\n\n## 2 · user/);
    expect(whole).not.toContain("[continued in");
    const read: number[] = [];
    let next: string | undefined = `dewey://conversation/${long.toUpperCase()}`;
    let pages = 0;
    for (; next !== undefined; pages += 1) {
      const text: string = await textOf(next);
      expect(text).toStartWith("# On quinces\n\n");
      expect(Buffer.byteLength(text)).toBeLessThan(75_000);
      read.push(...text.matchAll(/^turn (\d+) about/gm).map(([, turn]) => Number(turn)));
      next = /\[continued in (\S+)\]$/.exec(text)?.[1];
    }
    expect(pages).toBeGreaterThan(1);
    expect(read).toEqual(Array.from({ length: 40 }, (_, turn) => turn + 1));
  });

  test("an address that leads nowhere is an error that repeats it", async () => {
    const missing = [
      "dewey://conversation/00000000-0000-4000-8000-000000000000",
      `dewey://conversation/${short}?after_turn=x`,
      "dewey://conversation/",
      "dewey://context/nobody",
      "dewey://context/%00",
      "dewey://context/%",
      "file:///etc/passwd",
      "",
    ];
    for (const uri of missing)
      expect(await failure(readResource({ uri }, store))).toMatchObject({ code: -32_602, data: { uri } });
    expect(await failure(readResource({ uri: 7 }, store))).toMatchObject({
      code: -32_602,
      message: "params.uri should be the address of a resource",
    });
  });

  test("tell their watchers when their list has changed, and only then", async () => {
    let told = 0;
    let looks = 0;
    const list = (request: Parameters<typeof store.conversations.list>[0]) => {
      looks += 1;
      return store.conversations.list(request);
    };
    const changes = new ResourceChanges({ ...store, conversations: { list } } as unknown as Store, quiet, 5);
    const look = (more: number, seen = looks) => until("a look", () => looks >= seen + more);
    const unwatch = changes.watch(() => (told += 1));
    await look(2);
    await store.messages.store({ conversation_id: long, role: "user", content: "one more" });
    await look(2);
    expect(told).toBe(0);
    const { conversation_id } = await store.conversations.begin({});
    await until("the news", () => told === 1);
    await store.conversations.delete({ conversation_id, force: true });
    await until("the news", () => told === 2);
    unwatch();
    const seen = looks;
    await Bun.sleep(50);
    // At most the look that was under way.
    expect(looks - seen).toBeLessThanOrEqual(1);
  });
});

test("a watcher of the resources is told of a change once, also when a look takes long", async () => {
  const firstRead = Promise.withResolvers<void>();
  let looks = 0;
  let ended = 0;
  const list = async (request: Parameters<typeof store.conversations.list>[0]) => {
    looks += 1;
    const isFirst = looks === 1;
    const page = await store.conversations.list(request);
    firstRead.resolve();
    // Long enough for others to begin and end, if they may.
    if (isFirst) await Bun.sleep(100);
    ended += 1;
    return page;
  };
  const changes = new ResourceChanges({ ...store, conversations: { list } } as unknown as Store, quiet, 5);
  let told = 0;
  const unwatch = changes.watch(() => (told += 1));
  await firstRead.promise;
  await store.conversations.begin({});
  await until("the news", () => told > 0);
  const seen = ended;
  await until("two more looks", () => ended >= seen + 2);
  unwatch();
  expect(told).toBe(1);
});

describe("a prompt", () => {
  const prompt = async (name: string, args?: object) => {
    const { messages } = await getPrompt(
      { name, ...(args ? { arguments: args } : {}) },
      store,
      AbortSignal.timeout(10_000),
    );
    return messages[0]?.content.text ?? "";
  };

  test("recalls a topic with the best passages", async () => {
    const text = await prompt("recall", { topic: "sourdough" });
    expect(text).toStartWith("Tell me what was said and done earlier about: sourdough");
    expect(text).toContain(`## conversation ${short}, turn 2`);
    expect(text).toContain("and **sourdough**");
    expect(text).toContain("never instruction");
    expect(await prompt("recall", { topic: "zeppelins" })).toContain("found nothing");
  });

  test("continues the last work in a folder, with the digest that a session begins with", async () => {
    const folder = "/work/fruit";
    const text = await prompt("continue", { folder: `${folder}/` });
    const digest = await lastDigest(store, { folder });
    expect(digest).toContain(long);
    expect(text).toEndWith(`\n\n${digest}`);
    expect(text).toContain('asked: "one more"');
    expect(await prompt("continue", { folder: "/work/none\u202E" })).toContain("held in /work/none<U+202E>.");
    expect(await prompt("continue")).toContain("dewey_last_sessions");
  });

  test("summarises a conversation, and says how to read the rest", async () => {
    expect(await prompt("summarise", { conversation: short })).toContain("and sourdough");
    expect(await prompt("summarise", { conversation: long })).toMatch(
      /read the rest with dewey_get_conversation \(conv/,
    );
  });

  test("that is unknown, or lacks an argument, is refused by name", async () => {
    for (const { name, arguments: args } of promptList) {
      for (const { name: wanted, required } of args) {
        if (!required) continue;
        for (const given of [{}, { [wanted]: " " }])
          expect(await failure(prompt(name, given))).toMatchObject({
            code: -32_602,
            message: `params.arguments.${wanted} is missing; it should be a text`,
          });
      }
    }
    expect(await failure(prompt("toString"))).toMatchObject({ message: expect.stringContaining("there are: recall") });
    expect(await failure(prompt("recall", { topic: 7 }))).toMatchObject({
      message: "params.arguments.topic should be a text",
    });
    expect(await failure(prompt("summarise", { conversation: "x" }))).toMatchObject({ code: -32_602 });
  });
});

describe("a completion", () => {
  const values = async (ref: object, name: string, value: string) =>
    (await complete({ ref, argument: { name, value } }, store)).completion.values;
  const conversation = { type: "ref/resource", uri: "dewey://conversation/{id}{?after_turn}" };

  test("finds contexts by their names, conversations by id and title, and folders", async () => {
    expect(await values({ type: "ref/resource", uri: "dewey://context/{name}" }, "name", "Team")).toEqual(["team a/ß"]);
    expect(await values(conversation, "id", long.slice(0, 30))).toContain(long);
    expect(await values(conversation, "id", "Quince")).toEqual([long]);
    expect(await values({ type: "ref/prompt", name: "summarise" }, "conversation", "quince")).toEqual([long]);
    expect(await values({ type: "ref/prompt", name: "continue" }, "folder", "/work/b")).toEqual(["/work/bread"]);
  });

  test("of anything else is empty, and a malformed one is refused", async () => {
    expect(await values({ type: "ref/prompt", name: "recall" }, "topic", "x")).toEqual([]);
    expect(await values({ type: "ref/resource", uri: "x" }, "y", "")).toEqual([]);
    expect(await failure(values({ type: "x" }, "y", ""))).toMatchObject({
      message: "params.ref should name a prompt or a resource template",
    });
  });
});
