import { expect, test } from "bun:test";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { SQL } from "bun";
import type { CapturedConversation, CapturedMessage } from "../../src/capture/captured.ts";
import { migrations } from "../../src/store/database/migrations.ts";
import type { ConversationPage } from "../../src/store/page.ts";
import type { SearchReply } from "../../src/store/search/search.ts";
import type { Store } from "../../src/store/store.ts";
import { call, importFiles } from "../support/imports.ts";
import { connect, emptyDatabase, engines, testStore } from "../support/postgres.ts";

// A store that the build before migration 0015 filled from the files in `former`, as that build stored them
// (`stored.ndjson`), and the import of the same files by this one.

const recorded = join(import.meta.dir, "former");
const files = Object.fromEntries(
  readdirSync(recorded)
    .filter((name) => name !== "stored.ndjson")
    .map((name) => [name, readFileSync(join(recorded, name))]),
);
/** How often the walk in the background is asked whether it is done. */
const POLL_MS = 5;
/** Migrations of the build that wrote the store. */
const FORMER_MIGRATIONS = 14;
const [CLAUDE, CODEX, CHATGPT] = [
  "0190f5fe-7d3c-4a10-8f00-00000000000a",
  "0190f5fe-7d3c-7a10-8f00-0123456789ab",
  "a0000000-0000-4000-8000-000000000001",
];

/** Fills a database as the earlier build did. */
async function fill(sql: SQL): Promise<void> {
  await sql.unsafe(
    "create table dewey_migrations (name text primary key, applied_at timestamptz not null default now())",
  );
  for (const migration of migrations.slice(0, FORMER_MIGRATIONS)) {
    await sql.unsafe(migration.sql);
    await sql`insert into dewey_migrations (name) values (${migration.name})`;
  }
  let turn = 0;
  for (const line of readFileSync(join(recorded, "stored.ndjson"), "utf8").trim().split("\n")) {
    const row = JSON.parse(line) as
      | { begin: CapturedConversation }
      | { conversation: string; message: CapturedMessage };
    if ("begin" in row) {
      const { conversation_id, session_id = null, metadata } = row.begin;
      await sql`insert into conversations (id, session_id, metadata)
        values (${conversation_id}, ${session_id}, ${JSON.stringify(metadata)}::text::jsonb)`;
      continue;
    }
    const { message_id, role, content, metadata, created_at = new Date().toISOString() } = row.message;
    turn += 1;
    await sql`insert into messages (id, conversation_id, turn_number, role, content, metadata, created_at, search)
      values (${message_id}, ${row.conversation}, ${turn}, ${role}, ${content}, ${JSON.stringify(metadata)}::text::jsonb,
        ${created_at}, dewey_search_vector(${content}))`;
    await sql`update conversations set message_count = message_count + 1, last_turn = ${turn} where id = ${row.conversation}`;
  }
}

const [engine] = engines;
if (!engine) throw new Error("there is no PostgreSQL");

async function formerStore(): Promise<Store & AsyncDisposable> {
  const connection = await emptyDatabase(engine as NonNullable<typeof engine>);
  await using sql = connect(connection);
  await fill(sql);
  return testStore(engine as NonNullable<typeof engine>, { connection });
}

const page = async (store: Store, conversation_id: string | undefined, more: object = {}) =>
  (await call(store, "dewey_get_conversation", { conversation_id, ...more })) as unknown as ConversationPage;

test("what an earlier build has stored is known to an import, and told in the new form at its place", async () => {
  await using store = await formerStore();
  const first = await importFiles(store, files);
  // What is new is the chat's title, which those builds kept as a fact alone.
  expect(first).toMatchObject({ stored: 0, versions: 0, notes: 1, known: 18 });
  expect(await importFiles(store, files)).toMatchObject({ stored: 0, versions: 0, notes: 0, known: 18 });
  const told = async (id: string | undefined) =>
    (await page(store, id)).messages.map(({ role, content }) => `${role}: ${content}`);
  expect(await told(CLAUDE)).toEqual([
    "system: <local-command-stdout>ok</local-command-stdout>",
    "user: please WOMBAT",
    "assistant: hm",
    "assistant: I look",
    "assistant: Bash\ncommand: ls",
    "tool: a.txt\n\nX",
    "user: also ZEBRACORN",
    "assistant: done",
  ]);
  expect(await told(CODEX)).toEqual([
    "system: # AGENTS.md instructions for /work\nbe kind",
    "user: find the LYNX",
    "assistant: shell\ncommand: ls",
    "tool: screenshot of LYNXPAGE",
    "assistant: shell\ncommand: cat",
    'tool: {"content":"short body","size":12345678901234567890,"owner":"MARGAY"}',
    "assistant: There is a lynx.",
  ]);
  expect(await told(CHATGPT)).toEqual(["user: question TAPIR", "assistant: s\nthought OKAPI", "assistant: answer"]);
});

test("a text that an earlier build told otherwise is found in its new form, and kept in its former one as a note", async () => {
  await using store = await formerStore();
  await importFiles(store, files);
  const found = (await call(store, "dewey_search", { query: "MARGAY" })) as unknown as SearchReply;
  expect(found.results).toHaveLength(1);
  const { messages } = await page(store, CODEX, { everything: true });
  expect(messages.filter(({ content }) => content === "short body")).toMatchObject([{ kind: "former" }]);
  expect(messages.some(({ content }) => content.includes("[input_text]"))).toBe(false);
});

test("a session goes on behind what an earlier build has stored of it", async () => {
  await using store = await formerStore();
  const name = Object.keys(files).find((each) => each.startsWith("rollout")) ?? "";
  const row = {
    timestamp: "2025-11-01T10:00:07.000Z",
    type: "response_item",
    payload: { type: "message", role: "assistant", content: [{ type: "output_text", text: "There is a lynx." }] },
  };
  const grown = `${files[name]?.toString()}${JSON.stringify(row)}\n`;
  const grew = await importFiles(store, { ...files, [name]: grown });
  expect(grew).toMatchObject({ stored: 1, versions: 0, notes: 1, known: 18 });
  expect((await page(store, CODEX)).messages.map(({ content }) => content).slice(-2)).toEqual([
    "There is a lynx.",
    "There is a lynx.",
  ]);
});

test("what programs noted for themselves is marked in the background, also where the source is gone", async () => {
  await using store = await formerStore();
  const stopping = new AbortController();
  const keeping = store.backfill.keep(stopping.signal);
  while (!store.backfill.isIdle) await Bun.sleep(POLL_MS);
  stopping.abort();
  await keeping;
  const talk = (await page(store, CODEX)).messages.map(({ content }) => content);
  expect(talk).not.toContain("[event_msg token_count]");
  expect(talk).toContain("There is a lynx.");
  const { conversations } = await store.conversations.list({ limit: 10, offset: 0, sort_by: "created_at" });
  expect(conversations.find(({ id }) => id === CODEX)?.message_count).toBe(talk.length);
});
