import { createReadStream, mkdirSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import type { CapturedMessage } from "../../src/capture/captured.ts";
import { ClaudeCodeReader } from "../../src/capture/claude-code.ts";
import { lines } from "../../src/capture/rows.ts";
import { ToolClient } from "../../src/tool-client.ts";
import { binary, startServe } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import { BYTES_PER_MB, peakMb } from "./support/memory.ts";
import { told, withinLimit } from "./support/row.ts";
import type { Row } from "./support/row.ts";
import { Writer } from "./support/text.ts";
import { BROKEN_EVERY, rowText, writeRows } from "./support/transcript.ts";

const SESSIONS = 16;
/** Rows per session; some are of sub-agents, some broken, some of unknown types. */
const ROWS = 6250;
const ROWS_OF_ALL = SESSIONS * ROWS;
const ROWS_OF_AGENTS = 1000;
const BROKEN =
  SESSIONS * (Math.floor((ROWS - ROWS_OF_AGENTS) / BROKEN_EVERY) + Math.floor(ROWS_OF_AGENTS / BROKEN_EVERY));
const TEXT_CHARACTERS = 300;
/** Messages per bulk call of the plain client, the same as in the import. */
const BATCH = 500;
const MEMORY_LIMIT_MB = 300;
/** Least rows per second of an import that finds nothing new. */
const ROWS_AGAIN = 50_000;
const LONG_AGO = new Date("2026-01-01T00:00:00Z");
/** Interval between samples of the command's memory. */
const SAMPLE_MS = 20;

/** Import speed with 100,000 rows of transcripts, against a client that only sends the same messages. */
export async function importing(): Promise<Row[]> {
  using home = temporaryHome();
  const project = join(home.path, ".claude/projects/-bench");
  const files = await writeTranscripts(project);
  const { running, url } = await startServe(home.path);
  try {
    const plain = await sendPlainly(files, url);
    const first = await importAll(home.path, url);
    const again = await importAll(home.path, url);
    for (const { path } of files) utimesSync(path, LONG_AGO, LONG_AGO);
    const read = await importAll(home.path, url);
    if (first.rows !== ROWS_OF_ALL || first.broken !== BROKEN || again.messages + read.messages !== 0)
      throw new Error(
        `the import is not what it should be: ${first.rows} rows, ${first.broken} broken, ${again.messages} new`,
      );
    const bytes = files.reduce((sum, file) => sum + statSync(file.path).size, 0);
    return [
      {
        what: `import of ${ROWS_OF_ALL.toLocaleString("en-US")} rows (${Math.round(bytes / BYTES_PER_MB)} MB)`,
        unit: "rows/s",
        dewey: [first.rate],
        against: "bulk calls alone",
        other: [plain],
        compare: "ratio",
        bar: { atLeast: 0.7 },
      },
      {
        what: "… again, nothing new",
        unit: "rows/s",
        dewey: [again.rate],
        against: "bar",
        other: [ROWS_AGAIN],
        compare: "ratio",
        bar: { atLeast: 1 },
      },
      told("… again, with other times, so that all is read", "rows/s", [read.rate]),
      withinLimit("… peak memory of the command", "MB", [first.peakMb], MEMORY_LIMIT_MB),
    ];
  } finally {
    await running.stop();
  }
}

interface Transcript {
  path: string;
  session: string;
}

async function writeTranscripts(project: string): Promise<Transcript[]> {
  const writer = new Writer(1);
  const files: Transcript[] = [];
  for (let number = 0; number < SESSIONS; number += 1) {
    const session: string = crypto.randomUUID();
    mkdirSync(join(project, session, "subagents"), { recursive: true });
    const own = join(project, `${session}.jsonl`);
    const agent = join(project, session, "subagents/agent-a1.jsonl");
    const said = () => writer.text(TEXT_CHARACTERS);
    await writeRows(own, { rows: ROWS - ROWS_OF_AGENTS }, (row) => rowText(said(), session, row));
    await writeRows(agent, { rows: ROWS_OF_AGENTS }, (row) =>
      rowText(said(), session, row, { agentId: "a1", isSidechain: true }),
    );
    files.push({ path: own, session }, { path: agent, session });
  }
  return files;
}

/** Sends the same messages with other ids, prepared beforehand. Returns rows per second. */
async function sendPlainly(files: Transcript[], url: string): Promise<number> {
  const client = new ToolClient({ url });
  let elapsedMs = 0;
  for (const { path, session } of files) {
    const messages: CapturedMessage[] = [];
    const reader = new ClaudeCodeReader({ session });
    for await (const row of lines(createReadStream(path)))
      for (const each of reader.take(row.text ?? ""))
        if (each.kind === "message") messages.push({ ...each.message, message_id: crypto.randomUUID() });
    const { conversation_id } = await client.call("dewey_begin_conversation", {});
    const startedMs = performance.now();
    for (let start = 0; start < messages.length; start += BATCH)
      await client.call("dewey_store_messages_bulk", {
        conversation_id,
        messages: messages.slice(start, start + BATCH),
      });
    elapsedMs += performance.now() - startedMs;
  }
  await client.close();
  return (ROWS_OF_ALL * 1000) / elapsedMs;
}

async function importAll(home: string, url: string) {
  const startedMs = performance.now();
  const child = Bun.spawn([binary, "import", "--json"], {
    env: { ...plainEnvironment(home), DEWEY_URL: url },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  let peak = 0;
  const watching = setInterval(() => (peak = Math.max(peak, peakMb(child.pid))), SAMPLE_MS);
  const reply = (await new Response(child.stdout).json()) as { rows: number; messages: number; broken: number };
  await child.exited;
  clearInterval(watching);
  const rate = (reply.rows * 1000) / (performance.now() - startedMs);
  return { ...reply, rate, peakMb: peak };
}
