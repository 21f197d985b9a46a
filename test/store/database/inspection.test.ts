import { describe, expect, test } from "bun:test";
import type { SQL } from "bun";
import { createLog } from "../../../src/log.ts";
import type { Connection } from "../../../src/store/database/connection.ts";
import { Database } from "../../../src/store/database/database.ts";
import { openStore } from "../../../src/store/store.ts";
import { failure } from "../../support/failure.ts";
import { connect, debian, emptyDatabase, engines, storeOptions, testStore } from "../../support/postgres.ts";
import type { Engine } from "../../support/postgres.ts";

const [engine] = engines;

/** An empty database made with these options. */
async function databaseWith(engine: Engine, name: string, options: string): Promise<Connection> {
  const connection = await emptyDatabase(engine);
  await using sql = connect(connection);
  await sql.unsafe(`create database ${name} ${options}`);
  return { ...connection, database: name };
}

/** A database of a new role's, after these statements. */
async function databaseOf(role: string, ...statements: string[]): Promise<Connection> {
  const connection = await emptyDatabase(engine!);
  await using sql: SQL = connect(connection);
  for (const statement of [`create role ${role} login`, ...statements]) await sql.unsafe(statement);
  return { ...connection, user: role };
}

const refusal = (connection: Connection) => failure(openStore(storeOptions(connection)));

describe("a database is refused at the start, with the remedy,", () => {
  test("when its encoding is not UTF8", async () => {
    const connection = await databaseWith(
      engine!,
      "latin",
      "encoding 'LATIN1' locale_provider libc locale 'C' template template0",
    );
    expect(await refusal(connection)).toMatchObject({
      code: "conflict",
      message: expect.stringMatching(/has the encoding LATIN1.*create database latin encoding 'UTF8'/),
    });
  });

  test("when the role may not make tables", async () => {
    expect(await refusal(await databaseOf("visitor"))).toMatchObject({
      code: "unauthorized",
      message: expect.stringContaining("grant create, usage on schema public to visitor"),
    });
  });

  test("when the role takes no writes", async () => {
    const connection = await databaseOf("reader", "alter role reader set default_transaction_read_only = on");
    expect(await refusal(connection)).toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("alter role reader reset default_transaction_read_only"),
    });
  });
});

test.skipIf(!debian)("a database that knows no letters beyond ASCII is warned of", async () => {
  const lines: string[] = [];
  const log = createLog({ level: "warn", format: "text", write: (line) => void lines.push(line) });
  const connection = await databaseWith(debian as Engine, "ascii", "encoding 'UTF8' locale 'C' template template0");
  await using _ = await testStore(debian as Engine, { connection, log });
  expect(lines.join("")).toContain("no letters beyond ASCII");
});

test("a role's limits do not end migrations and backups, and the lack of rights is named", async () => {
  const connection = await databaseOf(
    "hurried",
    "grant create, usage on schema public to hurried",
    "alter role hurried set statement_timeout = '1ms'",
    "alter role hurried set lock_timeout = '1ms'",
  );
  await using store = await testStore(engine!, { connection });
  await store.conversations.begin({});
  const archive = new Response(await store.backup());
  expect((await archive.arrayBuffer()).byteLength).toBeGreaterThan(1000);
  await using admin = connect({ ...connection, user: "dewey" });
  await admin.unsafe("create role guest login");
  await admin.unsafe("grant select on all tables in schema public to guest");
  const guest = new Database(storeOptions({ ...connection, user: "guest" }));
  expect(await failure(guest.retried((sql) => sql`insert into conversations default values`))).toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("the rights that it needs"),
  });
  await guest.close();
});

test("a connection is named in pg_stat_activity", async () => {
  const connection = { ...(await emptyDatabase(engine!)), applicationName: "dewey/1.2.3 serve" };
  await using _ = await testStore(engine!, { connection });
  await using sql = connect(connection);
  const rows = await sql`select distinct application_name as name from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`;
  expect([...rows].map((row) => row.name)).toEqual(["dewey/1.2.3 serve"]);
});
