import { Database as Sqlite } from "bun:sqlite";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { SQL } from "bun";
import { startServe } from "../support/binary.ts";
import { temporaryHome } from "../support/home.ts";
import { connect } from "../support/postgres.ts";
import { Rpc } from "../support/rpc.ts";
import { embeddedConnection } from "./support/dewey.ts";
import { realFiles, seeded } from "./support/real-files.ts";

// `bun run bench:long-texts`: storing and searching real files of this machine (2 to 50 kB, from `/usr/lib` and
// `node_modules`) with the compiled binary, against SQLite's FTS5 over the same files and against a plain table with a
// tsvector and a GIN index, loaded by COPY into the same PostgreSQL. `--files N` sets the number of files (12,000),
// `--queries N` that of each kind.

const FILES_A_SESSION = 40;
const CALLERS = 4;
const FILES_A_CALL = 10;
const LIMIT = 10;
/** Between two looks whether the server rests. */
const SETTLING_MS = 500;
/** The bars. */
const LEAST_STORING = 0.6;
const MOST_OF_FTS5 = 1.5;
const MOST_SESSION_MS = 60;
const MOST_GROWTH = 1.5;

const { values: options } = parseArgs({
  options: { files: { type: "string", default: "12000" }, queries: { type: "string", default: "40" } },
});
const [wanted, ofEachKind] = [Number(options.files), Number(options.queries)];
if (!(wanted >= 100 && ofEachKind >= 1)) {
  console.error("usage: bun run bench:long-texts [--files N] [--queries N]");
  process.exit(2);
}

interface Query {
  kind: "question" | "two words" | "common word" | "rare word";
  words: string[];
}

const texts = realFiles(wanted);
const megabytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6;
console.log(`${texts.length} files, ${megabytes.toFixed(1)} MB`);
const queries = makeQueries();
const tenth = await measure(texts.slice(0, Math.ceil(texts.length / 10)), false);
const all = await measure(texts, true);
print();

/** Words of real lines: a question is what one line says. */
function makeQueries(): Query[] {
  const random = seeded(11);
  const pick = <Each>(of: Each[]): Each | undefined => of[Math.floor(random() * of.length)];
  const spread = new Map<string, number>();
  for (const text of texts)
    for (const word of new Set(text.toLowerCase().match(/[a-z]{3,}/g))) spread.set(word, (spread.get(word) ?? 0) + 1);
  const common = [...spread]
    .toSorted(([, a], [, b]) => b - a)
    .slice(30, 230)
    .map(([word]) => word);
  const rare = [...spread].filter(([word, count]) => count <= 3 && word.length > 5).map(([word]) => word);
  const lineOf = (least: number): string[] => {
    for (;;) {
      const words = [
        ...new Set(
          pick((pick(texts) ?? "").split("\n"))
            ?.toLowerCase()
            .match(/[a-z]{2,}/g),
        ),
      ];
      if (words.length >= least) return words;
    }
  };
  const made = Array.from({ length: ofEachKind }, (): Query[] => [
    { kind: "question", words: lineOf(8).slice(0, 10) },
    {
      kind: "two words",
      words: lineOf(5)
        .filter((word) => word.length > 3)
        .slice(0, 2),
    },
    { kind: "common word", words: [pick(common) ?? ""] },
    { kind: "rare word", words: [pick(rare) ?? ""] },
  ]);
  return made.flat().filter(({ words }) => words.length > 0);
}

interface Measured {
  storing: { dewey: number; plain: number; fts5: number };
  /** Milliseconds by kind. */
  dewey: Map<string, number[]>;
  fts5: Map<string, number[]>;
  session: number[];
  diskMegabytes: number;
  walMegabytes: number;
}

async function measure(files: string[], isWhole: boolean): Promise<Measured> {
  using home = temporaryHome();
  const { running, url } = await startServe(home.path);
  await using sql = connect(embeddedConnection(home.path));
  const bytes = files.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const rate = (ms: number) => bytes / 1000 / ms;
  const storedMs = await timed(() => store(url, files));
  await settled(sql);
  const plainMs = isWhole ? await timed(() => copyPlain(sql, files)) : Number.NaN;
  await sql.unsafe("vacuum analyze messages");
  using sqlite = new Sqlite(join(home.path, "fts5.db"));
  const ftsMs = await timed(async () => fillFts5(sqlite, files));
  const dewey = await Rpc.open(url);
  await dewey.initialize();
  const measured: Measured = {
    storing: { dewey: rate(storedMs), plain: rate(plainMs), fts5: rate(ftsMs) },
    dewey: new Map(),
    fts5: new Map(),
    session: [],
    ...(await disk(sql)),
  };
  for (const isWarm of [false, true]) {
    for (const [index, { kind, words }] of queries.entries()) {
      const ours = await timed(() => dewey.tool("dewey_search", { query: words.join(" "), limit: LIMIT }));
      const theirs = await timed(async () => askFts5(sqlite, words));
      const session_id = `session-${index % Math.max(1, Math.floor(files.length / FILES_A_SESSION))}`;
      const within = await timed(() =>
        dewey.tool("dewey_search", { query: words.join(" "), limit: LIMIT, session_id }),
      );
      if (!isWarm) continue;
      measured.dewey.set(kind, [...(measured.dewey.get(kind) ?? []), ours]);
      measured.fts5.set(kind, [...(measured.fts5.get(kind) ?? []), theirs]);
      measured.session.push(within);
    }
  }
  dewey.close();
  await running.stop();
  return measured;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

async function store(url: string, files: string[]): Promise<void> {
  const calls: { session_id: string; messages: { role: string; content: string }[] }[] = [];
  for (let at = 0; at < files.length; at += FILES_A_CALL) {
    const messages = files.slice(at, at + FILES_A_CALL).map((content) => ({ role: "tool", content }));
    calls.push({ session_id: `session-${Math.floor(at / FILES_A_SESSION)}`, messages });
  }
  const call = async () => {
    const dewey = await Rpc.open(url);
    await dewey.initialize();
    for (let next = calls.shift(); next; next = calls.shift()) await dewey.tool("dewey_store_messages_bulk", next);
    dewey.close();
  };
  await Promise.all(Array.from({ length: CALLERS }, call));
}

/** Waits until the server has read the words of what was stored, so that COPY shares the machine with nothing. */
async function settled(sql: SQL): Promise<void> {
  for (;;) {
    const [row]: { left: boolean }[] = await sql.unsafe(
      `select next_block * current_setting('block_size')::bigint < pg_relation_size('messages') as left
        from dewey_vocabulary_progress`,
    );
    if (row?.left === false) return;
    await Bun.sleep(SETTLING_MS);
  }
}

/** One caller with COPY, which no server could be quicker than. */
async function copyPlain(sql: SQL, files: string[]): Promise<void> {
  await sql.unsafe(`create table plain (id integer primary key, content text,
    search tsvector generated always as (to_tsvector('english', content)) stored)`);
  await sql.unsafe("create index on plain using gin (search)");
  for (let at = 0; at < files.length; at += FILES_A_SESSION) {
    const writer = sql`copy plain (id, content) from stdin`.writable().getWriter();
    for (const [index, text] of files.slice(at, at + FILES_A_SESSION).entries()) {
      const escaped = text
        .replaceAll("\\", "\\\\")
        .replaceAll("\t", "\\t")
        .replaceAll("\n", "\\n")
        .replaceAll("\r", "\\r");
      await writer.write(`${at + index}\t${escaped}\n`);
    }
    await writer.close();
  }
}

function fillFts5(sqlite: Sqlite, files: string[]): void {
  sqlite.run("pragma journal_mode = wal");
  sqlite.run("create virtual table texts using fts5(content, tokenize = 'porter unicode61')");
  const insert = sqlite.query("insert into texts (content) values (?)");
  const some = sqlite.transaction((part: string[]) => {
    for (const text of part) insert.run(text);
  });
  for (let at = 0; at < files.length; at += FILES_A_SESSION) some(files.slice(at, at + FILES_A_SESSION));
}

function askFts5(sqlite: Sqlite, words: string[]): void {
  const any = words.map((word) => `"${word}"`).join(" OR ");
  sqlite
    .query(
      `select rowid, rank, snippet(texts, 0, '*', '*', ' … ', 40) as snippet from texts where texts match ?
        order by rank limit ${LIMIT}`,
    )
    .all(any);
}

async function disk(sql: SQL): Promise<Pick<Measured, "diskMegabytes" | "walMegabytes">> {
  const [row]: { disk: number; wal: number }[] = await sql.unsafe(
    `select (pg_total_relation_size('messages') / 1e6)::float8 as disk,
      (select sum(size) / 1e6 from pg_ls_waldir())::float8 as wal`,
  );
  return { diskMegabytes: row?.disk ?? Number.NaN, walMegabytes: row?.wal ?? Number.NaN };
}

function at(share: number, of: readonly number[]): number {
  return of.toSorted((a, b) => a - b)[Math.min(of.length - 1, Math.floor(of.length * share))] ?? Number.NaN;
}

function print(): void {
  const { storing, diskMegabytes, walMegabytes } = all;
  const mark = (isMet: boolean) => (isMet ? "yes" : "NO");
  const ofPlain = storing.dewey / storing.plain;
  console.log(
    `storing: Dewey ${storing.dewey.toFixed(2)} MB/s, plain COPY ${storing.plain.toFixed(2)}, FTS5 ${storing.fts5.toFixed(2)};`,
    `${ofPlain.toFixed(2)} of the plain table (at least ${LEAST_STORING}: ${mark(ofPlain >= LEAST_STORING)})`,
  );
  console.log(
    `disk: ${(diskMegabytes / megabytes).toFixed(2)} of the text; write-ahead log ${walMegabytes.toFixed(0)} MB`,
  );
  console.log("| p50 / p95 in ms | FTS5 | Dewey | p95 / FTS5's | met | growth from a tenth | met |");
  console.log("| --- | --- | --- | --- | --- | --- | --- |");
  const both = (times: readonly number[]) => `${at(0.5, times).toFixed(1)} / ${at(0.95, times).toFixed(1)}`;
  for (const [kind, ours] of all.dewey) {
    const theirs = all.fts5.get(kind) ?? [];
    const ratio = at(0.95, ours) / at(0.95, theirs);
    const growth = at(0.95, ours) / at(0.95, tenth.dewey.get(kind) ?? []);
    const judged = [ratio.toFixed(2), mark(ratio <= MOST_OF_FTS5), growth.toFixed(2), mark(growth <= MOST_GROWTH)];
    console.log(`| ${[kind, both(theirs), both(ours), ...judged].join(" | ")} |`);
  }
  const session = at(0.95, all.session);
  console.log(
    `within a session of ${FILES_A_SESSION} files: ${both(all.session)} (${mark(session <= MOST_SESSION_MS)})`,
  );
}
