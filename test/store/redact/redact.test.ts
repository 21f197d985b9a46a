import { describe, expect, test } from "bun:test";
import { createRedactor } from "../../../src/store/redact/redact.ts";
import { connect, emptyDatabase, engines, testStore } from "../../support/postgres.ts";
import type { Engine } from "../../support/postgres.ts";
import { redactionRates } from "../../support/secret-corpus.ts";
import { falseCases, trueCases } from "../../support/secrets.ts";

const redactor = createRedactor();

function redact(text: string) {
  const found = {};
  return { text: redactor.text(text, found), found };
}

describe("a secret in a text is cut, and the text around it stays", () => {
  for (const { kind, text, secret } of trueCases) {
    test(`${kind}: ${text.slice(0, 40).replaceAll("\n", " ")}`, () => {
      const { text: stored, found } = redact(text);
      expect(stored).not.toContain(secret);
      expect(found).toEqual({ [kind]: 1 });
      const [before = "", after = ""] = text.split(secret);
      expect(stored).toBe(`${before}[redacted: ${kind}]${after}`);
    });
  }
});

describe("text that only resembles a secret stays", () => {
  for (const text of falseCases) {
    test(text.slice(0, 60), () => expect(redact(text)).toEqual({ text, found: {} }));
  }
});

test("every occurrence of a secret is cut, and a mark is not cut again", () => {
  const { secret = "", text = "" } = trueCases[0] ?? {};
  const twice = redact(`${text}\n${text}`);
  expect(twice.text).not.toContain(secret);
  expect(Object.values(twice.found)).toEqual([2]);
  expect(redact(twice.text)).toEqual({ text: twice.text, found: {} });
});

test("cass #112: in metadata, secrets are cut from texts at any depth, and fields named like secrets are cut whole", () => {
  const found = {};
  const { secret = "", text = "" } = trueCases[0] ?? {};
  const given = {
    password: "short",
    nested: [{ apiKey: "abc", note: text }],
    progressToken: "stays",
    token: 7,
    empty: { secret: "" },
    pin: 1234,
    apiKeys: ["a1b2c3d4e5f6", "${FROM_ENVIRONMENT}"],
    credentials: { user: "ann", db_password: 12345678 },
    schema: { password: { type: "string", description: "the user's password" } },
  };
  const stored = redactor.metadata(given, found);
  expect(stored).toMatchObject({
    password: "[redacted: secret field]",
    nested: [{ apiKey: "[redacted: secret field]" }],
    progressToken: "stays",
    token: 7,
    empty: { secret: "" },
    pin: "[redacted: secret field]",
    apiKeys: ["[redacted: secret field]", "${FROM_ENVIRONMENT}"],
    credentials: { user: "ann", db_password: "[redacted: secret field]" },
    schema: given.schema,
  });
  expect(JSON.stringify(stored)).not.toContain(secret);
  expect(found).toMatchObject({ "secret field": 5 });
  const again = {};
  expect(redactor.metadata(stored, again)).toEqual(stored);
  expect(again).toEqual({});
});

for (const engine of engines) {
  test(`rows on ${engine.name} hold no secrets, count what was cut, and are recognised when repeated`, async () => {
    const { secret = "", text = "" } = trueCases[0] ?? {};
    const connection = await emptyDatabase(engine);
    const message = {
      role: "tool",
      content: text,
      metadata: { password: "p", note: text },
      message_id: crypto.randomUUID(),
    };
    await using store = await testStore(engine, { connection });
    const { conversation_id } = await store.conversations.begin({ metadata: { note: text } });
    const first = await store.messages.store({ conversation_id, ...message });
    await store.results.store({
      correlation_id: "c",
      model: "m",
      output: text,
      prompt: text,
      error_message: text,
      metadata: { token: "t" },
    });
    await store.contexts.set({ name: "n", content: text, set_active: true });
    const everything = JSON.stringify([
      await store.messages.page({ conversation_id }),
      await store.results.find({ limit: 1, offset: 0 }),
      await store.contexts.get({}),
    ]);
    expect(everything).not.toContain(secret);
    const { results } = await store.results.find({ limit: 1, offset: 0 });
    expect(results[0]?.metadata).toEqual({
      token: "[redacted: secret field]",
      redactions: { "GitHub token": 3, "secret field": 1 },
    });
    const [stored] = (await store.messages.page({ conversation_id })).messages;
    expect(stored?.metadata).toMatchObject({ redactions: { "GitHub token": 2, "secret field": 1 } });
    // A pattern added later does not turn a repetition into a conflict.
    await using later = await testStore(engine, { connection, redactor: createRedactor({ word: /value/ }) });
    expect(await later.messages.store({ conversation_id, ...message })).toEqual(first);
  });
}

test("no column of text keeps a secret, and rows are found by the keys they were stored with", async () => {
  const [engine] = engines as [Engine];
  const { secret = "" } = trueCases[0] ?? {};
  const connection = await emptyDatabase(engine);
  await using store = await testStore(engine, { connection });
  const author = { session: secret, client_name: secret, client_version: secret };
  const { conversation_id, session_id } = await store.conversations.begin({ session_id: secret });
  const { cursor } = await store.tail.read({ limit: 1 });
  await store.messages.store({ conversation_id, role: "user", content: "giraffe" });
  await store.messages.storeBulk({ session_id: secret, messages: [{ role: "user", content: "giraffe" }] });
  await store.contexts.set({ name: secret, content: secret, set_active: true }, author);
  await store.contexts.tie({ name: secret, folder: `/home/${secret}/x` }, author);
  await store.results.store({ correlation_id: secret, model: secret, output: "o" });
  expect(session_id).toStartWith("[redacted: GitHub token]");
  const page = { limit: 10, offset: 0 };
  const listed = await store.conversations.list({ session_id: secret, sort_by: "created_at", ...page });
  expect(listed.total).toBe(2);
  expect((await store.search.find({ query: "giraffe", session_id: secret, ...page })).total).toBe(2);
  expect((await store.tail.read({ session_id: secret, cursor, limit: 10 })).messages.length).toBe(2);
  expect((await store.results.find({ correlation_id: secret, model: secret, ...page })).total).toBe(1);
  expect((await store.contexts.get({ folder: `/home/${secret}/x/y` }))?.content).toBe("[redacted: GitHub token]");
  expect((await store.contexts.history({ name: secret, ...page })).versions.length).toBe(2);
  await using database = connect(connection);
  for (const table of [
    "conversations",
    "messages",
    "startup_contexts",
    "startup_context_folders",
    "startup_context_history",
    "fiedler_results",
  ]) {
    const rows: unknown[] = await database`select to_jsonb(t) as row from ${database(table)} t`;
    expect(rows.length, table).toBeGreaterThan(0);
    expect(JSON.stringify(rows), table).not.toContain(secret);
  }
});

test("the store's health names an added pattern that was ended, and the message is stored", async () => {
  const [engine] = engines as [Engine];
  await using store = await testStore(engine, { redactor: createRedactor({ slow: /a(?:.*b)?/ }) });
  expect(await store.health()).not.toHaveProperty("ended_redactions");
  const { conversation_id } = await store.conversations.begin({});
  await store.messages.store({ conversation_id, role: "user", content: "a".repeat(50_000) });
  expect(await store.health()).toMatchObject({ ended_redactions: { slow: 1 } });
  expect((await store.messages.page({ conversation_id })).messages.length).toBe(1);
});

test("a secret that two signs tell of is cut once, with the kind that says more", () => {
  const { secret = "" } = trueCases[0] ?? {};
  expect(redact(`password=${secret}`)).toEqual({
    text: "password=[redacted: GitHub token]",
    found: { "GitHub token": 1 },
  });
});

test("an added pattern cuts under its own name", () => {
  const found = {};
  expect(createRedactor({ "ticket number": /T-\d{6}/ }).text("see T-123456, T-1 and T-654321", found)).toBe(
    "see [redacted: ticket number], T-1 and [redacted: ticket number]",
  );
  expect(found).toEqual({ "ticket number": 2 });
});

test("a pair of name and value counts as a field, and a long secret is cut to its end", () => {
  const found = {};
  const headers = [
    { name: "X-Api-Key", value: "abc" },
    { key: "API_KEY", value: "abc" },
    { name: "Accept", value: "abc" },
  ];
  expect(redactor.metadata({ headers }, found)).toEqual({
    headers: [
      { name: "X-Api-Key", value: "[redacted: secret field]" },
      { key: "API_KEY", value: "[redacted: secret field]" },
      { name: "Accept", value: "abc" },
    ],
  });
  const long = "aB3".repeat(1000);
  for (const text of [`refresh_token=${long} end`, `{"password": "${long}"} end`]) {
    expect(redact(text).text).not.toContain("aB3");
    expect(redact(text).text).toEndWith(" end");
  }
});

test("in the corpus, hardly any secret is missed and hardly anything else is cut", () => {
  const { secrets, misses, plain, falseCuts } = redactionRates(redactor);
  expect(misses.length / secrets).toBeLessThanOrEqual(0.05);
  expect(falseCuts.length / plain).toBeLessThanOrEqual(0.02);
});
