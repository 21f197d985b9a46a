import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { SQL } from "bun";
import { run, startServe } from "../support/binary.ts";
import { plainEnvironment } from "../support/home.ts";
import { connect } from "../support/postgres.ts";
import { Rpc } from "../support/rpc.ts";
import { embeddedConnection } from "./support/dewey.ts";
import { closedLoop } from "./support/load.ts";
import { BYTES_PER_MB, familyOf, proportionalMb } from "./support/memory.ts";
import { beginConversations, conversationId, storeFrame } from "./support/messages.ts";
import { KINDS, makeQueries } from "./speed-queries.ts";
import { loadTalk } from "./talk-database.ts";

// `bun run bench:sizing --data FOLDER [--messages N]`: what a store of this many generated messages (`talk.ts`) needs and does:
// search, stores, lists, a backup, disk and memory of the compiled binary. The figures of docs/sizing.md are its output. The
// store stays in the folder and is used again; `--load` only fills it, which takes long for ten million.

const { values } = parseArgs({
  options: {
    data: { type: "string" },
    messages: { type: "string", default: "1000000" },
    queries: { type: "string", default: "40" },
    load: { type: "boolean", default: false },
  },
});
const messages = Number(values.messages);
if (values.data === undefined || !(messages >= 1000)) {
  console.error("usage: bun run bench:sizing --data FOLDER [--messages N] [--queries N] [--load]");
  process.exit(2);
}

/** Callers of the stores that are measured, and for how long. */
const CALLERS = [1, 8, 64];
const STORING_MS = 10_000;
const WARM_UP_MS = 2000;
/** Calls of each kind of list. */
const LISTS = 40;

const home = join(values.data, `${messages}`);
const connection = embeddedConnection(home);
mkdirSync(home, { recursive: true });
await load();
if (!values.load) {
  await measureServed();
  await measureBackup();
}

/** Fills the store, unless an earlier run did. */
async function load(): Promise<void> {
  const { running } = await startServe(home);
  await using sql = connect(connection);
  const [known] = await sql`select exists (select from messages) as filled`;
  if (!known.filled) {
    const startedMs = performance.now();
    await loadTalk(sql, messages);
    tell("loaded in", (performance.now() - startedMs) / 1000, "s");
  }
  // The backfill gives the conversations their titles and times.
  for (;;) {
    const [row] = await sql`select is_done from dewey_backfill`;
    if (row.is_done) break;
    await Bun.sleep(1000);
  }
  await sql`vacuum analyze conversations`;
  await sql`checkpoint`;
  await sql.close();
  await running.stop();
}

async function measureServed(): Promise<void> {
  const startedMs = performance.now();
  const { running, url } = await startServe(home);
  tell("start of a server that was stopped", performance.now() - startedMs, "ms");
  await using sql = connect(connection);
  await tellDisk(sql);
  const rpc = await Rpc.open(url);
  await rpc.initialize();
  await measureSearch(sql, rpc);
  await measureLists(sql, rpc);
  tellMemory("after the searches", running.process.pid);
  await measureStores(url);
  tellMemory("after the stores", running.process.pid);
  // The next run finds the store as it was filled.
  await sql`delete from conversations where id in ${sql(Array.from({ length: Math.max(...CALLERS) }, (_, client) => conversationId(client)))}`;
  rpc.close();
  await running.stop();
}

async function tellDisk(sql: SQL): Promise<void> {
  const [sizes] = await sql`select pg_database_size(current_database())::float8 as database,
    pg_table_size('messages')::float8 as messages, pg_indexes_size('messages')::float8 as indexes,
    pg_total_relation_size('conversations')::float8 + pg_total_relation_size('conversation_titles') as conversations,
    (select sum(length(content))::float8 from messages tablesample system (1)) as sampled,
    (select count(*)::float8 from messages tablesample system (1)) as rows`;
  for (const [what, bytes] of Object.entries(sizes as Record<string, number>).slice(0, 4))
    tell(`disk: ${what}`, bytes / messages, "bytes a message");
  const indexes: { name: string; bytes: number }[] = await sql`
    select indexrelid::regclass::text as name, pg_relation_size(indexrelid)::float8 as bytes
    from pg_index where indrelid = 'messages'::regclass order by 2 desc`;
  for (const { name, bytes } of indexes) tell(`disk: index ${name}`, bytes / messages, "bytes a message");
  const [text] = await sql`select avg(octet_length(content))::float8 as bytes from messages tablesample system (1)`;
  tell("text", text.bytes, "bytes a message");
  tell("disk: the whole data folder", folderBytes(home) / BYTES_PER_MB, "MB");
}

async function measureSearch(sql: SQL, rpc: Rpc): Promise<void> {
  const queries = await makeQueries(sql, Number(values.queries));
  const ask = (query: (typeof queries)[number]) =>
    rpc.tool("dewey_search", { query: query.text, ...query.filters, limit: 10 });
  const cold = await timed(() => ask(queries[0] as (typeof queries)[number]));
  tell("search: the first after the start", cold, "ms");
  for (const query of queries) await ask(query);
  for (const kind of KINDS) {
    const times: number[] = [];
    for (const query of queries.filter((each) => each.kind === kind)) times.push(await timed(() => ask(query)));
    tellTimes(`search: ${kind}`, times);
  }
}

async function measureLists(sql: SQL, rpc: Rpc): Promise<void> {
  const ids: { id: string }[] = await sql`select id from conversations tablesample system (1) limit ${LISTS}`;
  const [first] = await sql`select session_id from conversations where session_id is not null limit 1`;
  const lists: [string, (index: number) => Promise<unknown>][] = [
    ["newest conversations", () => rpc.tool("dewey_list_conversations", { limit: 20 })],
    [
      "a session's conversations",
      () => rpc.tool("dewey_list_conversations", { session_id: first.session_id, limit: 20 }),
    ],
    ["a conversation", (index) => rpc.tool("dewey_get_conversation", { conversation_id: ids[index % ids.length]?.id })],
    ["recorded calls", () => rpc.tool("dewey_list_calls", { limit: 20 })],
    ["statistics", () => rpc.tool("dewey_stats", {})],
  ];
  for (const [what, list] of lists) {
    const times: number[] = [];
    try {
      for (let index = 0; index < LISTS; index += 1) times.push(await timed(() => list(index)));
      tellTimes(`list: ${what}`, times);
    } catch (error) {
      console.log(`list: ${what}: failed: ${String(error)}`);
    }
  }
}

async function measureStores(url: string): Promise<void> {
  await beginConversations(url, connection, Math.max(...CALLERS));
  for (const callers of CALLERS) {
    const { rate, p50Ms, p99Ms } = await closedLoop({
      urls: Array.from({ length: callers }, () => url),
      warmUpMs: WARM_UP_MS,
      durationMs: STORING_MS,
      frame: (client, id) => storeFrame(conversationId(client), id),
    });
    tell(
      `store: ${callers} callers`,
      rate,
      `messages a second, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`,
    );
  }
}

async function measureBackup(): Promise<void> {
  const file = join(home, "backup");
  rmSync(file, { force: true });
  const { running, url } = await startServe(home);
  const startedMs = performance.now();
  const { code, stderr } = await run(["backup", file, "--url", url], plainEnvironment(home));
  if (code !== 0) throw new Error(stderr);
  tell("backup", (performance.now() - startedMs) / 1000, `s, ${(statSync(file).size / BYTES_PER_MB).toFixed(0)} MB`);
  await running.stop();
  rmSync(file);
}

function tellMemory(when: string, pid: number): void {
  const [server = 0, ...others] = familyOf(pid).map(proportionalMb);
  tell(`memory ${when}: Dewey`, server, "MB");
  tell(
    `memory ${when}: PostgreSQL`,
    others.reduce((sum, each) => sum + each, 0),
    "MB",
  );
}

function tellTimes(what: string, times: number[]): void {
  const sorted = times.toSorted((one, other) => one - other);
  const at = (share: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1);
  console.log(`${what}: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, most ${at(1)} ms`);
}

function tell(what: string, value: number, unit: string): void {
  console.log(`${what}: ${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${unit}`);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

function folderBytes(folder: string): number {
  let sum = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) sum += folderBytes(path);
    else if (entry.isFile() && existsSync(path)) sum += statSync(path).size;
  }
  return sum;
}
