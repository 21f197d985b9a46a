import { basename, join } from "node:path";
import { $ } from "bun";
import type { ConversationPage } from "../../src/store/page.ts";
import type { SearchReply } from "../../src/store/search/search.ts";
import type { Store } from "../../src/store/store.ts";
import { call, importFiles } from "../support/imports.ts";
import { engines, stopSharedClusters, testStore } from "../support/postgres.ts";
import { own } from "./table-own.ts";
import { columns, itemsIn } from "./table-items.ts";
import type { Column, Form, Item } from "./table-items.ts";

// Prints, agent by agent, what files hold, what of it is stored, and what of that search finds:
//
//   bun run table [FOLDER]
//
// The files are fixtures of public repositories at fixed commits, fetched from GitHub, and small ones of our own. FOLDER has
// clones of the repositories, as OWNER/NAME, to read instead.

interface Fixture {
  agent: string;
  form: Form;
  repository: string;
  paths: string[];
}

const commits: Record<string, string> = {
  "d-kimuson/claude-code-viewer": "9367cf006be9965c954e6cd36526f2195dce67ea",
  "daaain/claude-code-log": "a641071a154f041b96e9b83ccd42d2f92eaa321a",
  "badlogic/pi-mono": "83378aad7e74a0e2bb8f37c007a9685fb4609d8a",
  "Dicklesworthstone/coding_agent_session_search": "2a1fc6f88ec2247c6748c1ca39fa1648d5be6122",
  "simonw/claude-code-transcripts": "cad133d9132a6255d8e948acfdaf5c8273bbff5f",
  "kenn-io/agentsview": "538600744d1b87614d3746d36a0966c1f2ac1cad",
};
const search = "Dicklesworthstone/coding_agent_session_search";
const view = "kenn-io/agentsview";
const fixtures: Fixture[] = [
  {
    agent: "Claude Code",
    form: "claude-code",
    repository: "daaain/claude-code-log",
    paths: ["edge_cases", "representative_messages", "todowrite_examples"].map(
      (name) => `test/test_data/${name}.jsonl`,
    ),
  },
  {
    agent: "Claude Code",
    form: "claude-code",
    repository: "simonw/claude-code-transcripts",
    paths: ["tests/sample_session.jsonl"],
  },
  {
    agent: "Claude Code",
    form: "claude-code",
    repository: "d-kimuson/claude-code-viewer",
    paths: [
      "1af7fc5e-8455-4414-9ccd-011d40f70b2a",
      "5c0375b4-57a5-4f26-b12d-d022ee4e51b7",
      "fe5e1c67-53e7-4862-81ae-d0e013e3270b",
      "agent-test-hash-123",
      "agent-test-hash-456",
    ].map((name) => `mock-global-claude-dir/projects/sample-project/${name}.jsonl`),
  },
  {
    agent: "Claude Code",
    form: "claude-code",
    repository: search,
    paths: [
      "claude_code_real/projects/-test-project/agent-test123",
      "html_export/edge_cases/all_message_types",
      "html_export/edge_cases/large_session",
      "html_export/edge_cases/unicode_heavy",
      "html_export/real_sessions/claude_code_auth_fix",
      "message_grouping/claude_session",
    ].map((name) => `tests/fixtures/${name}.jsonl`),
  },
  {
    agent: "Claude Code",
    form: "claude-code",
    repository: view,
    paths: ["queued_system_messages", "tool_call_pending", "valid_session"].map(
      (name) => `internal/parser/testdata/claude/${name}.jsonl`,
    ),
  },
  {
    agent: "Codex",
    form: "codex",
    repository: search,
    paths: ["2025/11/25/rollout-test", "2025/11/26/rollout-tool-call"].map(
      (name) => `tests/fixtures/codex_real/sessions/${name}.jsonl`,
    ),
  },
  {
    agent: "Codex",
    form: "codex",
    repository: view,
    paths: [
      "codex/blockquotes_session",
      "codex/fc_args_1",
      "codex/fc_args_2",
      "codex/fc_stdin",
      "codex/function_calls",
      "codex/standard_session",
      "traex/rollout_subagent",
    ].map((name) => `internal/parser/testdata/${name}.jsonl`),
  },
  {
    agent: "Gemini CLI",
    form: "gemini",
    repository: view,
    paths: ["standard_session", "thinking_only", "tool_calls_with_results"].map(
      (name) => `internal/parser/testdata/gemini/${name}.json`,
    ),
  },
  { agent: "Pi", form: "pi", repository: view, paths: ["internal/parser/testdata/pi/session.jsonl"] },
  {
    agent: "Pi",
    form: "pi",
    repository: "badlogic/pi-mono",
    paths: ["before-compaction", "large-session"].map((name) => `packages/coding-agent/test/fixtures/${name}.jsonl`),
  },
  {
    agent: "ChatGPT",
    form: "chatgpt",
    repository: search,
    paths: ["conv-conversation-id", "conv-multipart", "conv-structured-parts"].map(
      (name) => `tests/fixtures/chatgpt_real/conversations-real/${name}.json`,
    ),
  },
  { agent: "Amp", form: "blocks", repository: search, paths: ["tests/fixtures/amp/thread-001.json"] },
];

/** How many items of a column there are in the files, in the store, and found by search. */
type Counts = Record<Column, [file: number, stored: number, found: number]>;
/** The words of a text by which it is sought. */
const SOUGHT_WORDS = 12;
/** The beginning of a text that is sought as a phrase. */
const PHRASE_CHARACTERS = 500;
/** A text is stored when a message holds its beginning. */
const COMPARED_CHARACTERS = 200;

const [, , folder] = process.argv;
const [engine] = engines;
if (!engine) throw new Error("there is no PostgreSQL");

const rows: string[] = [];
for (const [source, agent, form, files] of await allFiles()) {
  await using store = await testStore(engine);
  await importFiles(store, files);
  const items = Object.values(files).flatMap((text) => itemsIn(form, text));
  const counts = await countsOf(store, items);
  const cells = columns.map((column) => (counts[column][0] === 0 ? "" : counts[column].join(" / ")));
  rows.push(`| ${[agent, source, ...cells].join(" | ")} |`);
}
console.log(`| ${["agent", "files", ...columns].join(" | ")} |`);
console.log(`| ${["---", "---", ...columns.map(() => "---")].join(" | ")} |`);
console.log(rows.join("\n"));
await stopSharedClusters();

type Source = [source: string, agent: string, form: Form, files: Record<string, string>];

async function allFiles(): Promise<Source[]> {
  const fetched = fixtures.map(async ({ agent, form, repository, paths }): Promise<Source> => {
    const texts = await Promise.all(paths.map((path) => textOf(repository, path)));
    const files = texts.map((text, index) => [`${index}/${basename(paths[index] ?? "")}`, text]);
    return [repository, agent, form, Object.fromEntries(files)];
  });
  return [
    ...(await Promise.all(fetched)),
    ...own.map(({ agent, form, files }): Source => ["our own", agent, form, files]),
  ];
}

async function textOf(repository: string, path: string): Promise<string> {
  const commit = commits[repository];
  if (folder !== undefined) return $`git -C ${join(folder, repository)} show ${commit}:${path}`.text();
  const reply = await fetch(`https://raw.githubusercontent.com/${repository}/${commit}/${path}`);
  if (!reply.ok) throw new Error(`${reply.url} answers with ${reply.status}`);
  return reply.text();
}

interface Stored {
  conversation: string;
  turn: number;
  content: string;
  metadata: unknown;
  abandoned: boolean;
}

async function countsOf(store: Store, items: Item[]): Promise<Counts> {
  const messages = await everything(store);
  const contents = messages.map((message) => ({ message, text: flat(message.content) }));
  const counts = Object.fromEntries(columns.map((column) => [column, [0, 0, 0]])) as unknown as Counts;
  for (const { column, text } of items) {
    const count = counts[column];
    count[0] += 1;
    if (column === "images" || column === "branches") continue;
    // An argument within another is shown as JSON.
    const forms = [text, JSON.stringify(text).slice(1, -1)].map((form) => flat(form).slice(0, COMPARED_CHARACTERS));
    const isHeld = (content: string) => forms.some((form) => content.includes(form));
    const holding = contents.filter((each) => isHeld(each.text)).map(({ message }) => message);
    if (holding.length === 0) continue;
    count[1] += 1;
    const way = await wayTo(store, text, holding);
    if (way !== undefined) count[2] += 1;
    if (way !== "words") console.error(`${way ?? "not found"}: ${column}: ${JSON.stringify(forms[0])}`);
  }
  const pictures = messages.reduce(
    (sum, each) => sum + (JSON.stringify(each.metadata).match(/"sha256"/g)?.length ?? 0),
    0,
  );
  const named = messages.reduce(
    (sum, { content }) => sum + (content.match(/\[(?:\w*image\w*)\b[^\]]*\]/g)?.length ?? 0),
    0,
  );
  counts.images = [
    counts.images[0],
    Math.min(counts.images[0], Math.max(pictures, named)),
    Math.min(counts.images[0], named),
  ];
  const left = messages.filter(({ abandoned }) => abandoned).length;
  const branches = Math.min(counts.branches[0], left);
  counts.branches = [counts.branches[0], branches, branches];
  return counts;
}

async function everything(store: Store): Promise<Stored[]> {
  const { conversations } = await store.conversations.list({ limit: 100, offset: 0, sort_by: "created_at" });
  const messages: Stored[] = [];
  for (const { id } of conversations)
    for (let after: number | undefined; ;) {
      const page = (await call(store, "dewey_get_conversation", {
        conversation_id: id,
        everything: true,
        limit: 100,
        ...(after === undefined ? {} : { after_turn: after }),
      })) as unknown as ConversationPage;
      for (const each of page.messages) messages.push({ ...(each as unknown as Stored), conversation: id });
      after = page.next_after_turn;
      if (after === undefined) break;
    }
  return messages;
}

/** How a text is found: by its first words, or only as a phrase, since many others have these words; undefined if it is not. */
async function wayTo(store: Store, text: string, holding: Stored[]): Promise<"words" | "phrase" | undefined> {
  const words = text.match(/[\p{L}\p{N}]{2,40}/gu)?.slice(0, SOUGHT_WORDS) ?? [text];
  if (await finds(store, words.join(" "), holding)) return "words";
  const phrase = flat(text).slice(0, PHRASE_CHARACTERS).replaceAll('"', " ").replace(/\S+$/, "");
  return (await finds(store, `"${phrase}"`, holding)) ? "phrase" : undefined;
}

/** Whether one of the first hits is a message that holds the text, or names one that does as another that says the same. */
async function finds(store: Store, query: string, holding: Stored[]): Promise<boolean> {
  const { results } = (await call(store, "dewey_search", { query, limit: 100 })) as unknown as SearchReply;
  const isHolding = (hit: { conversation_id: string; turn: number }) =>
    holding.some((each) => each.conversation === hit.conversation_id && each.turn === hit.turn);
  return results.some((hit) => isHolding(hit) || hit.repeated?.also.some(isHolding));
}

function flat(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}
