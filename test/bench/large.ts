import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { binary, startServe } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import { BYTES_PER_MB, familyOf, peakMb, proportionalMb } from "./support/memory.ts";
import { median, told } from "./support/row.ts";
import type { Row } from "./support/row.ts";
import { Writer } from "./support/text.ts";
import { largeRow, rowText, writeRows } from "./support/transcript.ts";

/** Defaults of `--large-mb N` and `--ordinary-mb N`, the sizes of the files. */
const LARGE_MB = 2000;
const ORDINARY_MB = 300;
const ORDINARY_CHARACTERS = 300;
const SAMPLE_MS = 500;
/** Memory varies with garbage collection, so the median over a tenth of the time counts. */
const SETTLED_SHARE = 0.2;
const WINDOW_SHARE = 0.1;
/** Limit on memory in the last tenth, relative to the second. */
const MOST_GROWTH = 1.15;

/** Checks that memory stays constant while one large file is imported, in the command and the server. */
export async function large(): Promise<Row[]> {
  const writer = new Writer(1);
  return [
    ...(await importOne("of large rows", option("large-mb", LARGE_MB), (session) => largeRow(writer, session))),
    ...(await importOne(
      "of ordinary rows",
      option("ordinary-mb", ORDINARY_MB),
      (session) => (row) => rowText(writer.text(ORDINARY_CHARACTERS), session, row),
    )),
  ];
}

async function importOne(
  what: string,
  megabytes: number,
  rowsOf: (session: string) => (row: number) => string,
): Promise<Row[]> {
  using home = temporaryHome();
  const session = crypto.randomUUID();
  const project = join(home.path, ".claude/projects/-bench");
  mkdirSync(project, { recursive: true });
  const path = join(project, `${session}.jsonl`);
  const rows = await writeRows(path, { bytes: megabytes * BYTES_PER_MB }, rowsOf(session));
  const bytes = statSync(path).size;
  const { running, url } = await startServe(home.path);
  try {
    const server = running.process.pid;
    const startedMs = performance.now();
    const child = Bun.spawn([binary, "import", "--json"], {
      env: { ...plainEnvironment(home.path), DEWEY_URL: url },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    const samples: Sample[] = [];
    const watching = setInterval(() => samples.push(sample(child.pid, server)), SAMPLE_MS);
    const reply = (await new Response(child.stdout).json()) as { rows: number; messages: number };
    await child.exited;
    clearInterval(watching);
    const seconds = (performance.now() - startedMs) / 1000;
    if (reply.rows !== rows || reply.messages < rows * 0.99)
      throw new Error(`${reply.rows} of ${rows} rows were read and ${reply.messages} messages stored`);
    const growth = (pick: (sample: Sample) => number) => ({
      dewey: [window(samples, 1, pick)],
      other: [window(samples, SETTLED_SHARE, pick)],
      against: "after a fifth",
      unit: "MB",
      compare: "ratio" as const,
      bar: { atMost: MOST_GROWTH },
    });
    return [
      told(`import ${what}, ${rows.toLocaleString("en-US")} in ${Math.round(bytes / BYTES_PER_MB)} MB`, "rows/s", [
        rows / seconds,
      ]),
      told("… the same", "MB/s", [bytes / BYTES_PER_MB / seconds]),
      { what: "… memory of the command at the end", ...growth((each) => each.command) },
      told("… its peak", "MB", [Math.max(...samples.map((each) => each.commandPeak))]),
      { what: "… memory of the server at the end", ...growth((each) => each.server) },
      told("… its peak", "MB", [peakMb(server)]),
      told("… its PostgreSQL, peak", "MB", [Math.max(...samples.map((each) => each.database))]),
    ];
  } finally {
    await running.stop();
  }
}

interface Sample {
  command: number;
  commandPeak: number;
  server: number;
  database: number;
}

function sample(command: number, server: number): Sample {
  const [own = Number.NaN, ...database] = familyOf(server).map(proportionalMb);
  return {
    command: proportionalMb(command),
    commandPeak: peakMb(command),
    server: own,
    database: database.reduce((sum, each) => sum + each, 0),
  };
}

/** The median of the samples before a share of the total time. */
function window(samples: Sample[], share: number, pick: (sample: Sample) => number): number {
  const end = Math.round(samples.length * share);
  const length = Math.max(1, Math.round(samples.length * WINDOW_SHARE));
  return median(samples.slice(Math.max(0, end - length), end).map(pick));
}

function option(name: string, usual: number): number {
  const place = process.argv.indexOf(`--${name}`);
  return place === -1 ? usual : Number(process.argv[place + 1]);
}
