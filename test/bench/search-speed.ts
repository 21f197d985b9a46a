import { join } from "node:path";
import { parseArgs } from "node:util";
import type { SQL } from "bun";
import { Database } from "../../src/store/database/database.ts";
import { IndexSorter } from "../../src/store/search/index-sorter.ts";
import { openStore } from "../../src/store/store.ts";
import { startServe } from "../support/binary.ts";
import { temporaryHome } from "../support/home.ts";
import { connect, storeOptions } from "../support/postgres.ts";
import { Rpc } from "../support/rpc.ts";
import { KINDS, askPrototype, makeQueries } from "./speed-queries.ts";
import type { Kind, Query } from "./speed-queries.ts";
import { keptByBounds } from "./speed-recall.ts";
import type { Kept } from "./speed-recall.ts";
import { compareStoring } from "./speed-storing.ts";
import { loadPrototype, loadTalk } from "./talk-database.ts";

// `bun run bench:search-speed`: speed of `dewey_search` of the compiled binary over a million generated messages, against the
// prototype's statements on the prototype's index over the same messages; how it grows; what the index costs when storing; and
// which of the best hits the limits of the ranking lose. `--messages N` (a multiple of 100, at least 100,000) sets the number
// of messages, `--queries N` the number of queries per kind, `--json` prints the figures for programs, and `--data FOLDER`
// keeps the databases there for another run.

const LIMIT = 10;
/** The bars: share of the prototype's p95, milliseconds, growth by ten, share of rows stored per second. */
const MOST_OF_PROTOTYPE = 0.1;
const MOST_MS = 150;
const MOST_GROWTH = 3;
const LEAST_STORING = 0.9;

interface Latency {
  p50: number;
  p95: number;
}
type Latencies = Record<Kind | "all", Latency>;

interface Measured {
  messages: number;
  dewey: Latencies;
  prototype: Latencies | undefined;
  kept: Record<Kind, Kept> | undefined;
}

const { values: options } = parseArgs({
  options: {
    messages: { type: "string", default: "1000000" },
    queries: { type: "string", default: "40" },
    data: { type: "string" },
    json: { type: "boolean", default: false },
  },
});
const [messages, ofEachKind] = [Number(options.messages), Number(options.queries)];
if (!(messages >= 100_000 && ofEachKind >= 1 && [messages / 100, ofEachKind].every(Number.isInteger))) {
  console.error("usage: bun run bench:search-speed [--messages N] [--queries N] [--data FOLDER] [--json]");
  process.exit(2);
}

const measured: Measured[] = [];
for (const size of [messages / 100, messages / 10, messages]) measured.push(await measure(size, size === messages));
const storing = await measureStoring();
const bars = judge();
if (options.json) console.log(JSON.stringify({ measured, storing, bars }));
else print();

/** Fills a database unless an earlier run did, and sends the queries to a freshly started server. */
async function measure(size: number, isWhole: boolean): Promise<Measured> {
  using folder = options.data === undefined ? temporaryHome() : undefined;
  const home = folder?.path ?? join(options.data ?? "", `${size}`);
  await fill(home, size, isWhole);
  const { running, url } = await startServe(home);
  await using sql = connect(embeddedIn(home));
  const dewey = await Rpc.open(url);
  await dewey.initialize();
  const queries = await makeQueries(sql, ofEachKind);
  const latencies = await ask(dewey, isWhole ? sql : undefined, queries);
  const kept = isWhole ? await keptByBounds(dewey, sql, queries, LIMIT) : undefined;
  dewey.close();
  await running.stop();
  return { messages: size, ...latencies, kept };
}

async function fill(home: string, size: number, withPrototype: boolean): Promise<void> {
  const { running } = await startServe(home);
  await using sql = connect(embeddedIn(home));
  const [known] = await sql`select to_regnamespace('prototype') is not null as prototype,
    exists (select from messages) as talk`;
  if (!known.talk) await loadTalk(sql, size);
  if (withPrototype && !known.prototype) await loadPrototype(sql);
  await sql.close();
  await running.stop();
}

function embeddedIn(home: string) {
  return { host: join(home, "data/postgres/socket"), port: 5432, database: "dewey", user: "dewey" };
}

/**
 * Sends each query to Dewey and the prototype in alternation. For warm-up, Dewey gets all of them once before; the prototype,
 * which is slow and keeps reading the same pages, gets the first of each kind.
 */
async function ask(dewey: Rpc, sql: SQL | undefined, queries: Query[]): Promise<Pick<Measured, "dewey" | "prototype">> {
  const askDewey = (query: Query) => dewey.tool("dewey_search", { query: query.text, ...query.filters, limit: LIMIT });
  for (const query of queries) await askDewey(query);
  if (sql) for (const query of queries.slice(0, KINDS.length)) await askPrototype(sql, query, LIMIT);
  const deweyMs: number[] = [];
  const prototypeMs: number[] = [];
  for (const query of queries) {
    deweyMs.push(await timed(() => askDewey(query)));
    if (sql) prototypeMs.push(await timed(() => askPrototype(sql, query, LIMIT)));
  }
  return { dewey: latenciesOf(queries, deweyMs), prototype: sql ? latenciesOf(queries, prototypeMs) : undefined };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

function latenciesOf(queries: Query[], allMs: number[]): Latencies {
  const of = (kind?: Kind): Latency => {
    const sorted = allMs
      .filter((_, index) => kind === undefined || queries[index]?.kind === kind)
      .sort((a, b) => a - b);
    const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN;
    return { p50: at(0.5), p95: at(0.95) };
  };
  return { ...byKind(of), all: of() };
}

function byKind<Value>(of: (kind: Kind) => Value): Record<Kind, Value> {
  return Object.fromEntries(KINDS.map((kind) => [kind, of(kind)])) as Record<Kind, Value>;
}

/** Runs in a fresh server, in two databases of its own. */
async function measureStoring() {
  using folder = temporaryHome();
  const { running } = await startServe(folder.path);
  const connection = embeddedIn(folder.path);
  await using sql = connect(connection);
  const databases = ["storing_dewey", "storing_plain"] as const;
  for (const database of databases) {
    await sql.unsafe(`create database ${database}`);
    await (await openStore(storeOptions({ ...connection, database }))).close();
  }
  await using dewey = connect({ ...connection, database: databases[0] });
  await using plain = connect({ ...connection, database: databases[1] });
  const options = storeOptions({ ...connection, database: databases[0] });
  const database = new Database(options);
  const compared = await compareStoring(dewey, new IndexSorter(database, options.log), plain);
  await Promise.all([database.close(), dewey.close(), plain.close(), sql.close()]);
  await running.stop();
  return compared;
}

interface Bar {
  what: string;
  value: number;
  isMet: boolean;
}

function judge(): Bar[] {
  const [, tenth, whole] = measured;
  const most = (what: string, value: number, bar: number): Bar => ({
    what: `${what}: ${value.toFixed(2)}, at most ${bar}`,
    value,
    isMet: value <= bar,
  });
  if (!tenth || !whole?.prototype) return [];
  const { dewey, prototype } = whole;
  return [
    most("p95 of all queries relative to the prototype's", dewey.all.p95 / prototype.all.p95, MOST_OF_PROTOTYPE),
    ...KINDS.map((kind) => most(`p95 of ${kind}, in ms`, dewey[kind].p95, MOST_MS)),
    ...(["all", ...KINDS] as const).map((kind) =>
      most(
        `growth of the p95 of ${kind}, by ten times the messages`,
        dewey[kind].p95 / tenth.dewey[kind].p95,
        MOST_GROWTH,
      ),
    ),
    {
      what: `rows stored per second, relative to a plain index: ${storing.ratio.toFixed(2)}, at least ${LEAST_STORING}`,
      value: storing.ratio,
      isMet: storing.ratio >= LEAST_STORING,
    },
  ];
}

function print(): void {
  const ms = (latency: Latency | undefined) => (latency ? `${latency.p50.toFixed(1)} / ${latency.p95.toFixed(1)}` : "");
  const rows = [...KINDS, "all" as const].map((kind) => {
    const whole = measured.at(-1);
    const kept = kind === "all" ? undefined : whole?.kept?.[kind];
    return {
      "p50 / p95 in ms": kind,
      ...Object.fromEntries(measured.map((each) => [`${each.messages} messages`, ms(each.dewey[kind])])),
      prototype: ms(whole?.prototype?.[kind]),
      "p95 / prototype's": whole?.prototype ? (whole.dewey[kind].p95 / whole.prototype[kind].p95).toFixed(3) : "",
      "best ten kept": kept?.hits.toFixed(2) ?? "",
      "their score": kept?.score.toFixed(2) ?? "",
    };
  });
  printTable(rows);
  console.log(
    `\nstored a second: ${storing.dewey.toFixed(0)} rows, ${storing.plain.toFixed(0)} with a plain index over tsvectors`,
  );
  for (const { what, isMet } of bars) console.log(`${isMet ? "met    " : "NOT MET"} ${what}`);
}

/** Prints a Markdown table. */
function printTable(rows: Record<string, string>[]): void {
  const names = Object.keys(rows[0] ?? {});
  const widths = names.map((name) => Math.max(name.length, ...rows.map((row) => row[name]?.length ?? 0)));
  const line = (cells: string[]) => `| ${cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join(" | ")} |`;
  console.log(line(names));
  console.log(line(widths.map((width) => "-".repeat(width))));
  for (const row of rows) console.log(line(names.map((name) => row[name] ?? "")));
}
