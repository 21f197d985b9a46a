import { createWriteStream, mkdtempSync, rmSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ToolClient } from "../../src/tool-client.ts";
import type { Connection } from "../../src/store/database/connection.ts";
import { startServe } from "../support/binary.ts";
import { temporaryHome } from "../support/home.ts";
import { connect } from "../support/postgres.ts";
import { embeddedConnection } from "./support/dewey.ts";
import { sizeOption } from "./support/options.ts";
import { familyCpuMs } from "./support/processor.ts";
import { copyIn, copyOut } from "./support/psql.ts";
import type { Row } from "./support/row.ts";
import { Writer } from "./support/text.ts";

/** Default of `--messages N`. */
const DEFAULT_MESSAGES = 100_000;
const CONTENT_CHARACTERS = 400;
/** Messages per call. */
const BATCH = 1000;
/** Calls in flight: while the database stores one, the next is encoded and read. */
const CALLS_AT_ONCE = 2;
const ROUNDS = 3;
/** Fewer messages finish before a trend shows. */
const LEAST_MESSAGES = 10_000;
const COLUMNS = ["id", "conversation_id", "turn_number", "role", "content"];
const conversation = "00000000-0000-4000-8000-000000000000";

/**
 * 100,000 messages from one client through the bulk tool into one conversation, against one COPY of the same rows into the
 * same table with all of its indexes and its foreign key. COPY runs twice: with the words for search computed by the same
 * function in a trigger, and with precomputed words, which leaves only the table. Each starts with an empty table.
 */
export async function bulk(): Promise<Row[]> {
  const count = sizeOption("messages", DEFAULT_MESSAGES, LEAST_MESSAGES);
  using home = temporaryHome();
  const { running, url } = await startServe(home.path);
  await using _ = running;
  const connection = embeddedConnection(home.path);
  const folder = mkdtempSync(join(tmpdir(), "dewey-bulk-"));
  const client = new ToolClient({ url });
  try {
    await prepare(connection);
    const texts = writeTexts(count);
    const plain = await writeRows(join(folder, "plain"), texts);
    const copy = (columns: string[], file: string) => copyIn(connection, "messages", columns, file);
    await begin(connection);
    await copy(COLUMNS, plain);
    const searchable = [...COLUMNS, "search"];
    const whole = join(folder, "whole");
    await copyOut(connection, `select ${searchable.join(", ")} from messages order by turn_number`, whole);

    const measured = (work: () => Promise<void>) => measure(connection, running.process.pid, count, work);
    const rounds: { dewey: Measured; copy: Measured; bare: Measured }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      rounds.push({
        dewey: await measured(() => storeAll(client, texts)),
        copy: await measured(() => copy(COLUMNS, plain)),
        bare: await measured(() => copy(searchable, whole)),
      });
    }
    const what = `bulk: ${count.toLocaleString("en")} messages, ${BATCH.toLocaleString("en")} a call`;
    const row = { unit: "messages/s", compare: "ratio", against: "COPY, same table" } as const;
    const rates = (name: "dewey" | "copy" | "bare") => rounds.map((round) => round[name].rate);
    const cpuUs = (name: "dewey" | "copy") => rounds.map((round) => round[name].cpuUs);
    return [
      { ...row, what, dewey: rates("dewey"), other: rates("copy"), bar: { atLeast: 0.5 } },
      { ...row, what: "… the same", dewey: rates("dewey"), against: "COPY, precomputed words", other: rates("bare") },
      { ...row, what: "… CPU time, server and database", unit: "µs", dewey: cpuUs("dewey"), other: cpuUs("copy") },
    ];
  } finally {
    await client.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** COPY cannot call a function, so a trigger computes the words of rows without them; Dewey's rows have theirs. */
async function prepare(connection: Connection): Promise<void> {
  await using sql = connect(connection);
  await sql.unsafe(`create function bench_words() returns trigger language plpgsql as
      $$ begin new.search := dewey_search_vector(new.content); return new; end $$;
    create trigger bench_words before insert on messages
      for each row when (new.search is null) execute function bench_words()`);
}

interface Measured {
  /** Messages per second. */
  rate: number;
  /** CPU time of the server and its PostgreSQL per message: it depends less on the load of the machine. */
  cpuUs: number;
}

/** Starts with an empty table. Throws when messages are missing afterwards. */
async function measure(
  connection: Connection,
  server: number,
  count: number,
  work: () => Promise<void>,
): Promise<Measured> {
  await begin(connection);
  const cpuBeforeMs = familyCpuMs(server);
  const startedMs = performance.now();
  await work();
  const elapsedMs = performance.now() - startedMs;
  const cpuMs = familyCpuMs(server) - cpuBeforeMs;
  await using sql = connect(connection);
  const [row] =
    await sql`select count(*)::integer as stored, count(search)::integer as with_words, max(turn_number) as last
    from messages`;
  if (row.stored !== count || row.with_words !== count || row.last !== count)
    throw new Error(
      `${row.stored} of ${count} messages were stored, ${row.with_words} with words, up to turn ${row.last}`,
    );
  return { rate: (count * 1000) / elapsedMs, cpuUs: (cpuMs * 1000) / count };
}

async function begin(connection: Connection): Promise<void> {
  await using sql = connect(connection);
  await sql`truncate conversations cascade`;
  await sql`insert into conversations (id) values (${conversation})`;
  await sql`checkpoint`;
}

/** Stores the messages in order: calls of one connection run concurrently, and are stored one after the other. */
async function storeAll(client: ToolClient, texts: string[]): Promise<void> {
  let next = 0;
  const storeSome = async () => {
    while (next < texts.length) {
      const messages = texts.slice(next, next + BATCH).map((content) => ({ role: "user", content }));
      next += BATCH;
      await client.call("dewey_store_messages_bulk", { conversation_id: conversation, messages });
    }
  };
  await Promise.all(Array.from({ length: CALLS_AT_ONCE }, storeSome));
}

function writeTexts(count: number): string[] {
  const writer = new Writer(5);
  return Array.from({ length: count }, () => writer.text(CONTENT_CHARACTERS));
}

async function writeRows(path: string, texts: string[]): Promise<string> {
  const stream = createWriteStream(path);
  for (const [index, text] of texts.entries()) {
    const row = [Bun.randomUUIDv7(), conversation, index + 1, "user", text];
    if (!stream.write(`${row.join("\t")}\n`)) await once(stream, "drain");
  }
  stream.end();
  await once(stream, "finish");
  return path;
}
