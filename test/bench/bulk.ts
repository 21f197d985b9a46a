import { createWriteStream, mkdtempSync, rmSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "../../src/client.ts";
import type { Connection } from "../../src/store/connection.ts";
import { startServe, temporaryHome } from "../support/binary.ts";
import { connect } from "../support/postgres.ts";
import { embeddedConnection } from "./support/dewey.ts";
import { copyIn, copyOut } from "./support/psql.ts";
import type { Row } from "./support/row.ts";
import { Writer } from "./support/text.ts";

const MESSAGES = 100_000;
const CONTENT_CHARACTERS = 400;
/** Messages of one call. */
const BATCH = 2000;
/** Calls of the one client that overlap: while the database stores one, the next is written and read. */
const CALLS_AT_ONCE = 2;
const ROUNDS = 3;
const COLUMNS = ["id", "conversation_id", "turn_number", "role", "content"];
const conversation = "00000000-0000-4000-8000-000000000000";

/**
 * 100,000 messages through the bulk tool by one client into one conversation, against one COPY of the same rows into the very
 * table, with all of its indexes, its foreign key and its words for searching: made by the same function in a trigger, as
 * Dewey makes them too, and once more brought ready-made, which leaves COPY nothing but the table. Each begins with the
 * table empty.
 */
export async function bulk(): Promise<Row[]> {
  using home = temporaryHome();
  const { running, url } = await startServe(home.path);
  await using _ = running;
  const connection = embeddedConnection(home.path);
  const folder = mkdtempSync(join(tmpdir(), "dewey-bulk-"));
  const client = new Client({ url });
  try {
    await prepare(connection);
    const texts = writeTexts();
    const plain = await writeRows(join(folder, "plain"), texts);
    const copy = (columns: string[], file: string) => copyIn(connection, "messages", columns, file);
    await begin(connection);
    await copy(COLUMNS, plain);
    const searchable = [...COLUMNS, "search"];
    const whole = join(folder, "whole");
    await copyOut(connection, `select ${searchable.join(", ")} from messages order by turn_number`, whole);

    const rounds: { dewey: number; copy: number; bare: number }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      rounds.push({
        dewey: await rate(connection, () => storeAll(client, texts)),
        copy: await rate(connection, () => copy(COLUMNS, plain)),
        bare: await rate(connection, () => copy(searchable, whole)),
      });
    }
    const what = `bulk: ${MESSAGES.toLocaleString("en")} messages, ${BATCH.toLocaleString("en")} a call`;
    const row = { unit: "messages/s", compare: "ratio", against: "COPY, same table" } as const;
    const of = (name: "dewey" | "copy" | "bare") => rounds.map((round) => round[name]);
    return [
      { ...row, what, dewey: of("dewey"), other: of("copy"), bar: { atLeast: 0.5 } },
      { ...row, what: "… the same", dewey: of("dewey"), against: "COPY, words ready-made", other: of("bare") },
    ];
  } finally {
    await client.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** COPY cannot call a function, so a trigger makes the words where a row has none; Dewey's rows have theirs. */
async function prepare(connection: Connection): Promise<void> {
  await using sql = connect(connection);
  await sql.unsafe(`create function bench_words() returns trigger language plpgsql as
      $$ begin new.search := dewey_search_vector(new.content); return new; end $$;
    create trigger bench_words before insert on messages
      for each row when (new.search is null) execute function bench_words()`);
}

/** Messages a second, from an empty table on; throws when not all are there afterwards. */
async function rate(connection: Connection, work: () => Promise<void>): Promise<number> {
  await begin(connection);
  const startedMs = performance.now();
  await work();
  const elapsedMs = performance.now() - startedMs;
  await using sql = connect(connection);
  const [row] =
    await sql`select count(*)::integer as stored, count(search)::integer as with_words, max(turn_number) as last
    from messages`;
  if (row.stored !== MESSAGES || row.with_words !== MESSAGES || row.last !== MESSAGES)
    throw new Error(
      `of ${MESSAGES} messages ${row.stored} are there, ${row.with_words} with words, to turn ${row.last}`,
    );
  return (MESSAGES * 1000) / elapsedMs;
}

async function begin(connection: Connection): Promise<void> {
  await using sql = connect(connection);
  await sql`truncate conversations cascade`;
  await sql`insert into conversations (id) values (${conversation})`;
  await sql`checkpoint`;
}

/** The messages in their order: the calls of one connection are answered side by side and stored one after the other. */
async function storeAll(client: Client, texts: string[]): Promise<void> {
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

function writeTexts(): string[] {
  const writer = new Writer(5);
  return Array.from({ length: MESSAGES }, () => writer.text(CONTENT_CHARACTERS));
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
