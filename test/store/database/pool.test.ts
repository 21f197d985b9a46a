import { beforeAll, describe, expect, test } from "bun:test";
import { SQL } from "bun";
import type { Connection } from "../../../src/store/database/connection.ts";
import { one } from "../../../src/store/database/one.ts";
import { Dialler } from "../../../src/store/database/dialler.ts";
import { isConnectionLost } from "../../../src/store/database/lost.ts";
import { Late, Pool } from "../../../src/store/database/pool.ts";
import type { PoolOptions, Statement } from "../../../src/store/database/pool.ts";
import { failure } from "../../support/failure.ts";
import { connect, emptyDatabase, engines } from "../../support/postgres.ts";
import { quiet } from "../../support/quiet.ts";
import { until } from "../../support/rpc.ts";

const AMPLE_MS = 30_000;
const [engine] = engines;
let connection: Connection;
beforeAll(async () => {
  connection = await emptyDatabase(engine!);
});

function pool(options: Partial<PoolOptions> = {}): Pool & AsyncDisposable {
  const made = new Pool({
    dialler: new Dialler(connection),
    kept: 1,
    most: 1,
    settings: {},
    keepsStatements: true,
    log: quiet,
    ...options,
  });
  return Object.assign(made, { [Symbol.asyncDispose]: () => made.close(AMPLE_MS) });
}

const backend: Statement<number> = async (sql) => (await one<{ pid: number }>(sql`select pg_backend_pid() as pid`)).pid;

/** The error of a call. */
const thrown = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );

/** Work that holds its connection until `end` is called. */
function holding() {
  const begun = Promise.withResolvers<number>();
  const end = Promise.withResolvers<void>();
  const work: Statement<void> = async (sql) => {
    begun.resolve(await backend(sql));
    await end.promise;
  };
  return { work, begun: begun.promise, end: end.resolve };
}

describe("a pool of connections", () => {
  test("reports busy and idle connections, and waiting callers", async () => {
    await using two = pool({ most: 2 });
    expect(two.use()).toEqual({ busy: 0, idle: 0, most: 2, waiting: 0 });
    const [first, second] = [holding(), holding()];
    const working = [two.run(first.work, AMPLE_MS), two.run(second.work, AMPLE_MS)];
    await Promise.all([first.begun, second.begun]);
    const waiting = two.run(backend, AMPLE_MS);
    expect(two.use()).toEqual({ busy: 2, idle: 0, most: 2, waiting: 1 });
    first.end();
    await waiting;
    expect(two.use()).toEqual({ busy: 1, idle: 1, most: 2, waiting: 0 });
    second.end();
    await Promise.all(working);
    expect(two.use()).toEqual({ busy: 0, idle: 2, most: 2, waiting: 0 });
  });

  test("serves callers in the order of their calls", async () => {
    await using single = pool();
    const first = holding();
    const working = single.run(first.work, AMPLE_MS);
    await first.begun;
    const served: number[] = [];
    const others = [1, 2, 3].map((caller) => single.run(async () => void served.push(caller), AMPLE_MS));
    first.end();
    await Promise.all([working, ...others]);
    expect(served).toEqual([1, 2, 3]);
  });

  test("gives no connection to a caller whose deadline has passed", async () => {
    await using single = pool();
    const first = holding();
    const working = single.run(first.work, AMPLE_MS);
    await first.begun;
    expect(await thrown(single.run(backend, 50))).toBeInstanceOf(Late);
    first.end();
    await working;
    expect(await single.run(backend, AMPLE_MS)).toBe(await first.begun);
  });

  test("keeps the connection of work that fails", async () => {
    await using single = pool();
    const before = await single.run(backend, AMPLE_MS);
    expect(await thrown(single.run((sql) => sql`select 1 / 0`, AMPLE_MS))).toMatchObject({ errno: "22012" });
    expect(await single.run(backend, AMPLE_MS)).toBe(before);
  });

  test("gives up a hanging connection, and opens another for a waiting caller", async () => {
    await using single = pool();
    const before = await single.run(backend, AMPLE_MS);
    const late = single.run((sql) => sql`select pg_sleep(5)`, 100);
    const next = single.run(backend, AMPLE_MS);
    expect(await thrown(late)).toBeInstanceOf(Late);
    expect(await next).not.toBe(before);
  });

  test("gives up idle connections when one is lost", async () => {
    await using three = pool({ kept: 3, most: 3 });
    await three.warm(AMPLE_MS);
    expect(three.use()).toMatchObject({ busy: 0, idle: 3 });
    const lost = three.run((sql) => sql`select pg_terminate_backend(pg_backend_pid())`, AMPLE_MS);
    expect(isConnectionLost(await thrown(lost))).toBe(true);
    expect(three.use()).toMatchObject({ busy: 0, idle: 0 });
  });

  test("replaces a connection that has become too old, after its work", async () => {
    await using aging = pool({ mostAgeMs: 0 });
    const backends = [await aging.run(backend, AMPLE_MS), await aging.run(backend, AMPLE_MS)];
    expect(new Set(backends).size).toBe(2);
    // Its age passes while it is idle.
    await using idle = pool({ mostAgeMs: 500 });
    const first = await idle.run(backend, AMPLE_MS);
    await Bun.sleep(500);
    expect(await idle.run(backend, AMPLE_MS)).not.toBe(first);
    await using young = pool({ mostAgeMs: 60_000 });
    expect(await young.run(backend, AMPLE_MS)).toBe(await young.run(backend, AMPLE_MS));
  });

  test("that is renewed replaces every connection, and disturbs no work", async () => {
    await using two = pool({ kept: 2, most: 2 });
    await two.warm(AMPLE_MS);
    const first = holding();
    const working = two.run(first.work, AMPLE_MS);
    const before = await first.begun;
    two.renew();
    expect(two.use()).toMatchObject({ busy: 1, idle: 0 });
    first.end();
    await working;
    expect(two.use()).toMatchObject({ busy: 0, idle: 0 });
    expect(await two.run(backend, AMPLE_MS)).not.toBe(before);
  });

  test("gives up every idle connection when the server takes no writes", async () => {
    await using three = pool({ kept: 3, most: 3 });
    await three.warm(AMPLE_MS);
    const write: Statement<unknown> = (sql) => sql.begin("read only", (within) => within`create table never (x int)`);
    expect(await thrown(three.run(write, AMPLE_MS))).toMatchObject({ errno: "25006" });
    expect(three.use()).toMatchObject({ busy: 0, idle: 0 });
  });

  test("forgets an idle connection that the server has closed", async () => {
    await using two = pool({ kept: 2, most: 2 });
    await two.warm(AMPLE_MS);
    await using sql = connect(connection);
    const pid = await two.run(backend, AMPLE_MS);
    await sql`select pg_terminate_backend(${pid})`;
    await until("it is forgotten", async () => two.use().idle === 1);
    for (let count = 0; count < 3; count += 1) expect(await two.run(backend, AMPLE_MS)).not.toBe(pid);
  });

  test("opens the kept connections at once, and closes further ones after some idle time", async () => {
    const connection = await emptyDatabase(engine!);
    await using sql = connect(connection);
    const open = async () => {
      const { count } = await one<{ count: number }>(sql`select count(*)::integer as count from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`);
      return count;
    };
    await using five = pool({ dialler: new Dialler(connection), kept: 2, most: 5, idleSeconds: 1 });
    await five.warm(AMPLE_MS);
    expect(await open()).toBe(2);
    const all = Array.from({ length: 5 }, holding);
    const working = all.map(({ work }) => five.run(work, AMPLE_MS));
    await Promise.all(all.map(({ begun }) => begun));
    expect(await open()).toBe(5);
    for (const { end } of all) end();
    await Promise.all(working);
    await until("those beyond are closed", async () => (await open()) <= 2);
    expect(await open()).toBe(2);
    // A connection that closed when idle is reopened by its next statement.
    expect(await Promise.all(all.map(() => five.run(backend, AMPLE_MS)))).toHaveLength(5);
  });

  test("that is closed accepts no work", async () => {
    const single = pool();
    await single.run(backend, AMPLE_MS);
    await single.close(AMPLE_MS);
    expect(await failure(single.run(backend, AMPLE_MS))).toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("stopping"),
    });
  });

  test("that is closed lets work in flight finish", async () => {
    const single = pool();
    const result = single.run((sql) => one<{ done: number }>(sql`select pg_sleep(0.3), 1 as done`), AMPLE_MS);
    await until("it has begun", async () => single.use().busy === 1);
    await Bun.sleep(0);
    await single.close(AMPLE_MS);
    expect(await result).toMatchObject({ done: 1 });
  });
});

describe("an error means that the connection is lost", () => {
  const refused = (errno: string) => new SQL.PostgresError("x", { errno, code: "ERR_POSTGRES_SERVER_ERROR" });
  const failed = (code: string) => Object.assign(new Error("x"), { code });

  test.each(["08000", "08006", "57P01", "57P02", "57P03"])("for SQLSTATE %s", (state) => {
    expect(isConnectionLost(refused(state))).toBe(true);
  });
  test.each(["ERR_POSTGRES_CONNECTION_CLOSED", "ECONNREFUSED", "ECONNRESET", "ENOENT", "EPIPE", "FailedToOpenSocket"])(
    "for %s",
    (code) => expect(isConnectionLost(failed(code))).toBe(true),
  );
  test.each(["57014", "57P04", "53300", "22012", "40001"])("but not for SQLSTATE %s", (state) => {
    expect(isConnectionLost(refused(state))).toBe(false);
  });
  test("but not for any other", () => {
    for (const error of [failed("ERR_POSTGRES_SYNTAX_ERROR"), new Error("x"), "ECONNRESET", undefined])
      expect(isConnectionLost(error)).toBe(false);
  });
});
