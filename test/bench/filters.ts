import { parseArgs } from "node:util";
import type { SQL } from "bun";
import type { Store } from "../../src/store/store.ts";
import { openStore } from "../../src/store/store.ts";
import { startServe } from "../support/binary.ts";
import { temporaryHome } from "../support/home.ts";
import { connect, storeOptions } from "../support/postgres.ts";
import { embeddedConnection } from "./support/dewey.ts";
import { Writer } from "./support/text.ts";

// `bun run bench:filters`: for every filter of lists and searches, over a million generated messages, the time, and the
// indexes of the messages that PostgreSQL used, as its own counters say; for lists of calls only the time. Fails when the table
// of messages was read through, or when a 95th percentile is above the bar.
// `--messages N` sets the number of messages, `--data FOLDER` keeps the database there for another run.

const TURNS = 50;
const TEXTS = 1000;
const CONTENT_CHARACTERS = 120;
/** Half a year. */
const SPAN_SECONDS = 15_000_000;
/** Calls per filter. */
const ROUNDS = 20;
/** The bar of the 95th percentile, in milliseconds. */
const MOST_MS = 150;

/** Stands for reading the whole table. */
const SEQUENTIAL = "(sequential)";

const { values: options } = parseArgs({
  options: { messages: { type: "string", default: "1000000" }, data: { type: "string" } },
});
const messages = Number(options.messages);

const filters: Record<string, object> = {
  client: { client: "Codex" },
  folder: { folder: "project7" },
  upstream: { upstream: "files" },
  branch: { branch: "topic-7" },
  title: { title: "flaky rare" },
  "tool, frequent": { tool: "bash" },
  "tool, rare": { tool: "tool-59" },
  "tool, unknown": { tool: "nothing" },
  "kind, frequent": { kind: "answer" },
  "kind, rare": { kind: "summary" },
  errors: { errors: true },
  "errors of a tool": { errors: true, tool: "bash" },
  since: { start_date: new Date("2025-06-25") },
  until: { end_date: new Date("2025-01-03") },
  "role, rare": { role: "system" },
  session: { session_id: "s7" },
  several: { client: "codex", tool: "bash", errors: true, start_date: new Date("2025-03-01") },
};

const callFilters: Record<string, object> = {
  none: {},
  upstream: { upstream: "files" },
  "tool, frequent": { tool: "Bash" },
  "tool, rare": { tool: "tool-59" },
  failed: { failed: true },
  "failed of a tool": { tool: "Bash", failed: true },
  "tool, upstream": { tool: "Bash", upstream: "files" },
  since: { start_date: new Date("2025-06-01") },
};

using folder = options.data === undefined ? temporaryHome() : undefined;
const home = options.data ?? folder?.path ?? "";
const { running } = await startServe(home);
await using _ = running;
const connection = embeddedConnection(home);
const sql = connect(connection);
await fill(sql);
const store = await openStore(storeOptions(connection, { searchDeadlineMs: 60_000, deadlineMs: 60_000 }));
const isWrong = [await measure(store), await measureCalls(store)].includes(true);
await store.close();
await sql.close();
if (isWrong) process.exitCode = 1;

/** Returns whether messages were read through, or a call took too long. */
async function measure(store: Store): Promise<boolean> {
  const page = { limit: 20, offset: 0 } as const;
  const calls: Record<string, (filter: object) => Promise<{ total: number }>> = {
    "search, no words": (filter) => store.search.find({ query: "", ...page, ...filter }),
    "search, words": (filter) => store.search.find({ query: "error in the test", ...page, ...filter }),
    list: (filter) => store.conversations.list({ ...page, sort_by: "updated_at", ...filter }),
  };
  let isWrong = false;
  for (const [what, filter] of Object.entries(filters)) {
    let wordless = Infinity;
    for (const [name, call] of Object.entries(calls)) {
      if (name === "list" && "role" in filter) continue;
      const before = await scans();
      const { value, median, late } = await timed(() => call(filter));
      const after = await scans();
      const used = [...after].filter(([index, count]) => count > (before.get(index) ?? 0)).map(([index]) => index);
      const isRead = used.includes(SEQUENTIAL);
      if (name === "search, no words") wordless = value.total;
      // Words only narrow further.
      isWrong ||= (name === "search, words" && value.total > wordless) || isRead || late > MOST_MS;
      tell([what, name], [median, late], [`${value.total}`.padStart(6), used.join(" "), isRead ? "READ THROUGH" : ""]);
    }
  }
  return isWrong;
}

/** Returns whether a list of calls took too long. */
async function measureCalls(store: Store): Promise<boolean> {
  let isWrong = false;
  for (const [what, filter] of Object.entries(callFilters)) {
    const { value, median, late } = await timed(() => store.calls.list({ limit: 50, ...filter }));
    isWrong ||= late > MOST_MS;
    tell([what, "calls"], [median, late], [`${value.calls.length}`.padStart(6)]);
  }
  return isWrong;
}

/** The last value, and the median and the 95th percentile of the milliseconds. */
async function timed<Value>(work: () => Promise<Value>): Promise<{ value: Value; median: number; late: number }> {
  const times: number[] = [];
  let value = await work();
  for (let round = 0; round < ROUNDS; round += 1) {
    const startedMs = performance.now();
    value = await work();
    times.push(performance.now() - startedMs);
  }
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.ceil(share * ROUNDS) - 1] ?? Number.NaN;
  return { value, median: at(0.5), late: at(0.95) };
}

function tell([what, name]: [string, string], times: [number, number], rest: string[]): void {
  const ms = times.map((each) => `${each.toFixed(1)} ms`.padStart(10));
  const mark = times[1] > MOST_MS ? "slow" : "";
  console.log([what.padEnd(17), name.padEnd(16), ...ms, ...rest, mark].join("  "));
}

/** How often the messages were read through, and each of their indexes was used. Other sessions' counts arrive late. */
async function scans(): Promise<Map<string, number>> {
  await sql`select pg_sleep(1.2), pg_stat_clear_snapshot()`;
  const rows: { name: string; count: string }[] = await sql`
    select indexrelname as name, idx_scan as count from pg_stat_user_indexes where relname = 'messages'
    union all select ${SEQUENTIAL}, seq_scan from pg_stat_user_tables where relname = 'messages'`;
  return new Map(rows.map(({ name, count }) => [name, Number(count)]));
}

async function fill(sql: SQL): Promise<void> {
  const [known] = await sql`select exists (select from messages) as filled`;
  if (known.filled) return;
  const writer = new Writer(11);
  const texts = Array.from(
    { length: TEXTS },
    (_, index) =>
      `${index % 7 === 0 ? "error " : ""}${index % 3 === 0 ? "test " : ""}${writer.text(CONTENT_CHARACTERS)}`,
  );
  const conversations = Math.ceil(messages / TURNS);
  const id = (number: string) => `('00000000-0000-4000-8000-' || lpad(to_hex(${number}), 12, '0'))::uuid`;
  const time = (number: string) =>
    `timestamptz '2025-01-01' + make_interval(secs => ${number} * ${SPAN_SECONDS / messages})`;
  await sql.begin(async (within) => {
    await within.unsafe("set local maintenance_work_mem = '512MB'");
    const indexes: { definition: string; name: string }[] = await within.unsafe(
      `select pg_get_indexdef(indexrelid) as definition, indexrelid::regclass::text as name
        from pg_index where indrelid = 'messages'::regclass and not indisunique`,
    );
    for (const { name } of indexes) await within.unsafe(`drop index ${name}`);
    await within`create temporary table texts on commit drop as
      select place, content, dewey_search_vector(content) as search
      from unnest(${within.array(texts, "TEXT")}::text[]) with ordinality as t (content, place)`;
    await within.unsafe(`insert into conversations
        (id, session_id, title, title_source, client, folder, branch, metadata, created_at, updated_at, last_turn, message_count)
      select ${id("n")}, 's' || n / 20, 'Conversation ' || n || case when n % 500 = 7 then ' flaky rare' else ' common' end,
        'client', (array['claude-code', 'codex', 'gemini', 'goose'])[1 + n % 4], '/home/ana/project' || n % 200,
        'topic-' || n % 300, case when n % 10 = 0 then '{"upstream": "files"}'::jsonb end,
        ${time(`n * ${TURNS}`)}, ${time(`(n + 1) * ${TURNS}`)}, ${TURNS}, ${TURNS}
      from generate_series(0, ${conversations - 1}) n`);
    await within.unsafe(`insert into messages
        (id, conversation_id, turn_number, role, content, search, created_at, kind, metadata)
      select gen_random_uuid(), ${id(`n / ${TURNS}`)}, 1 + n % ${TURNS},
        case when n % 1000 = 1 then 'system' when n % 3 = 0 then 'user' else 'assistant' end, content, search, ${time("n")},
        case when n % 5000 = 4 then 'summary' when n % 4 = 0 then 'tool_result' when n % 4 = 3 then 'tool_use'
          when n % 2 = 0 then 'answer' else 'prompt' end,
        case when n % 4 in (0, 3) then jsonb_build_object('tool',
            case when n % 2000 < 4 then 'tool-' || (n / 2000) % 60 when n % 3 = 0 then 'Read' else 'Bash' end)
          || case when n % 4 = 0 then jsonb_build_object('outcome', case when n % 400 = 0 then 'error' else 'success' end)
            else '{}' end end
      from generate_series(0, ${messages - 1}) n join texts on place = (n::bigint * 7919) % ${TEXTS} + 1 order by n`);
    for (const { definition } of indexes) await within.unsafe(definition);
  });
  for (const table of ["conversations", "conversation_titles", "messages"]) await sql.unsafe(`vacuum analyze ${table}`);
}
