import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createLog } from "../../../src/log.ts";
import type { Connection } from "../../../src/store/database/connection.ts";
import { Database } from "../../../src/store/database/database.ts";
import { Reads } from "../../../src/store/database/reads.ts";
import { Replica } from "../../../src/store/database/replica.ts";
import type { ReplicaHealth } from "../../../src/store/database/replica.ts";
import { openStore } from "../../../src/store/store.ts";
import type { Store, StoreOptions } from "../../../src/store/store.ts";
import { failure } from "../../support/failure.ts";
import { testListener } from "../../support/listener.ts";
import { connect, debian, freeze, privateCluster, storeOptions, testStore } from "../../support/postgres.ts";
import type { Cluster, Engine } from "../../support/postgres.ts";
import { startStandby } from "../../support/replica.ts";
import type { Standby } from "../../support/replica.ts";

if (!debian)
  console.warn("reading from a replica is not tested: Debian's PostgreSQL 15, which can make one, is not here");

const message = (content: string) => ({ role: "user", content });
const firstPage = { limit: 10, offset: 0 };

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpMs = performance.now() + 30_000;
  while (!(await condition())) {
    if (performance.now() > giveUpMs) throw new Error(`it did not come to ${condition.toString()}`);
    await Bun.sleep(10);
  }
}

/** A log that keeps its lines. */
function memory() {
  const lines: string[] = [];
  return { lines, log: createLog({ level: "debug", format: "json", write: (line) => lines.push(line) }) };
}

describe.skipIf(!debian)("reading from a replica", () => {
  const engine = debian as Engine;
  let primary: Cluster & AsyncDisposable;
  let standby: Standby & AsyncDisposable;
  let databases = 0;

  beforeAll(async () => {
    primary = await privateCluster(engine);
    // Whatever a read on the replica stands in the way of is replayed at once, so that the read is what gives way.
    standby = await startStandby(primary, ["max_standby_streaming_delay=0"]);
  });
  afterAll(async () => {
    await standby?.[Symbol.asyncDispose]();
    await primary?.[Symbol.asyncDispose]();
  });

  /** The two addresses of a database of the test's own. */
  async function database(): Promise<{ connection: Connection; readConnection: Connection }> {
    databases += 1;
    const name = `reads_${databases}`;
    await using sql = connect(primary.connection);
    await sql.unsafe(`create database ${name}`);
    return {
      connection: { ...primary.connection, database: name },
      readConnection: { ...standby.connection, database: name },
    };
  }

  /** A store that reads from the replica, which is known to serve. */
  async function served(options: Partial<StoreOptions> = {}): Promise<Store & AsyncDisposable> {
    const store = await testStore(engine, { ...(await database()), ...options });
    await until(async () => (await store.health()).replica?.status === "ok");
    return store;
  }

  const replicaOf = async (store: Store) => (await store.health()).replica;

  /** Which database answers; several reads may be on their way to the other one. */
  async function answers(store: Store, which: "primary" | "replica"): Promise<void> {
    const before = store.reads()?.[which] ?? 0;
    await until(async () => {
      await store.conversations.list({ ...firstPage, sort_by: "updated_at" });
      return (store.reads()?.[which] ?? 0) > before;
    });
  }

  test("gives a replica up that becomes a primary, and one that follows another primary than Dewey", async () => {
    await using other = await startStandby(primary);
    const addresses = await database();
    const name = addresses.connection.database;
    await using store = await testStore(engine, {
      ...addresses,
      readConnection: { ...other.connection, database: name },
    });
    await answers(store, "replica");
    await using sql = connect(other.connection);
    await sql`select pg_promote()`;
    await answers(store, "primary");
    expect(await replicaOf(store)).toMatchObject({ reason: "it is no standby: it takes writes of its own" });

    const { readConnection } = addresses;
    const after = { connection: { ...other.connection, database: name }, readConnection };
    await using moved = await testStore(engine, after);
    await answers(moved, "primary");
    expect(await replicaOf(moved)).toMatchObject({ reason: "it is on timeline 1, and the primary on 2" });
  });

  test("searches, lists and reads there, and writes nothing there", async () => {
    await using store = await served();
    await answers(store, "replica");
    const before = store.reads();
    const { conversation_id } = await store.conversations.begin({ session_id: "s" });
    await store.messages.store({ conversation_id, ...message("a heron by the river") });
    await store.contexts.set({ name: "c", content: "d", set_active: true });
    await store.search.vocabulary.refresh();

    expect((await store.messages.page({ conversation_id })).messages).toHaveLength(1);
    expect((await store.conversations.list({ ...firstPage, sort_by: "created_at" })).total).toBe(1);
    expect((await store.search.find({ query: "heron", ...firstPage })).total).toBe(1);
    expect((await store.stats.read({ days: 1, time_zone: "UTC" })).messages).toBe(1);
    const after = store.reads();
    // On a busy machine one may have been late there, and been answered by the primary.
    expect((after?.replica ?? 0) + (after?.primary ?? 0)).toBe((before?.replica ?? 0) + (before?.primary ?? 0) + 4);
    expect(after?.replica).toBeGreaterThan(before?.replica ?? 0);
    expect(standby.statements().some((text) => text.includes("octet_length"))).toBe(true);
    expect(standby.statements().filter((text) => /\b(insert|update|delete|dewey_append)\b/.test(text))).toEqual([]);
  });

  test("never answers less than was stored before, whichever server it was stored over", async () => {
    const addresses = await database();
    await using writing = await testStore(engine, addresses);
    await using reading = await testStore(engine, addresses);
    await answers(reading, "replica");
    const { conversation_id } = await writing.conversations.begin({});
    for (let turn = 1; turn <= 100; turn += 1) {
      await writing.messages.store({ conversation_id, ...message(`word${turn}`) });
      const [page, found] = await Promise.all([
        reading.messages.page({ conversation_id, after_turn: turn - 1 }),
        reading.search.find({ query: `word${turn}`, ...firstPage }),
      ]);
      expect(page.messages.map((each) => each.turn)).toEqual([turn]);
      expect(found.total).toBe(1);
    }
    await answers(reading, "replica");
  });

  test("goes to the primary while the replica lags, says so, and comes back", async () => {
    const { lines, log } = memory();
    const addresses = await database();
    await using served = await testListener(engine, { store: { ...addresses, log } });
    const { store } = served;
    const health = async (): Promise<{ replica: ReplicaHealth }> =>
      (await fetch(served.httpUrl.replace(/mcp$/, "healthz"))).json() as Promise<{ replica: ReplicaHealth }>;
    await answers(store, "replica");
    await standby.pause();
    const { conversation_id } = await store.conversations.begin({});
    await store.messages.store({ conversation_id, ...message("a kingfisher") });
    expect((await store.messages.page({ conversation_id })).messages).toHaveLength(1);
    expect((await store.search.find({ query: "kingfisher", ...firstPage })).total).toBe(1);
    expect((await store.conversations.list({ ...firstPage, sort_by: "created_at" })).total).toBe(1);
    expect(await health()).toMatchObject({
      status: "ok",
      replica: {
        status: "unavailable",
        reason: expect.stringMatching(/^it is \d+ bytes of the write-ahead log behind$/),
      },
    });
    await until(() => lines.some((line) => line.includes("reads go to the primary")));
    await standby.resume();
    await until(async () => (await health()).replica.status === "ok");
    expect(lines.some((line) => line.includes("serves again"))).toBe(true);
    await answers(store, "replica");
    const metrics = await (await fetch(served.httpUrl.replace(/mcp$/, "metrics"))).text();
    expect(metrics).toMatch(/^dewey_reads_total\{database="replica"\} [1-9]/m);
    expect(metrics).toMatch(/^dewey_reads_total\{database="primary"\} [1-9]/m);
  });

  test("keeps a search's later pages to what its first page saw, also of what was under way then", async () => {
    const addresses = await database();
    await using store = await testStore(engine, addresses);
    await answers(store, "replica");
    const { conversation_id } = await store.conversations.begin({});
    await using late = connect(addresses.connection);
    await late`begin`;
    await late`insert into messages (conversation_id, turn_number, role, content, search)
      values (${conversation_id}, 1000, 'user', 'otter', dewey_search_vector('otter'))`;
    for (let turn = 1; turn <= 6; turn += 1)
      await store.messages.store({ conversation_id, ...message(`otter ${turn}`) });
    const ask = async (cursor?: string) => store.search.find({ query: "otter", limit: 2, offset: 0, cursor });
    const before = store.reads()?.replica ?? 0;
    const first = await ask();
    await late`commit`;
    await store.messages.store({ conversation_id, ...message("otter 7") });
    const second = await ask(first.next_cursor);
    const third = await ask(second.next_cursor);
    expect(store.reads()?.replica).toBeGreaterThan(before);
    expect(first.total).toBe(6);
    expect(third.next_cursor).toBeUndefined();
    const turns = [first, second, third].flatMap((page) => page.results.map((hit) => hit.turn));
    expect(turns.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("costs no caller an error when the replica is killed, and goes back to it when it is there again", async () => {
    await using store = await served();
    await answers(store, "replica");
    const { conversation_id } = await store.conversations.begin({});
    await store.messages.store({ conversation_id, ...message("a wren") });
    const over = new AbortController();
    const readers = Array.from({ length: 8 }, async (_, reader) => {
      while (!over.signal.aborted) {
        if (reader % 2 === 0) expect((await store.search.find({ query: "wren", ...firstPage })).total).toBe(1);
        else expect((await store.messages.page({ conversation_id })).messages).toHaveLength(1);
      }
    });
    await until(() => (store.reads()?.replica ?? 0) > 20);
    await standby.kill();
    await answers(store, "primary");
    expect(await replicaOf(store)).toMatchObject({ status: "unavailable" });
    await standby.restart();
    await answers(store, "replica");
    over.abort();
    await Promise.all(readers);
  });

  test("answers within the deadline when the replica hangs", async () => {
    await using store = await served({ deadlineMs: 8000 });
    await answers(store, "replica");
    const { conversation_id } = await store.conversations.begin({});
    await store.messages.store({ conversation_id, ...message("an egret") });
    {
      using _frozen = await freeze(standby);
      const startMs = performance.now();
      const [page, found] = await Promise.all([
        store.messages.page({ conversation_id }),
        store.search.find({ query: "egret", ...firstPage }),
      ]);
      expect(page.messages).toHaveLength(1);
      expect(found.total).toBe(1);
      expect(performance.now() - startMs).toBeLessThan(8000);
    }
    await answers(store, "replica");
  });

  test("reads on the primary what stood in the way of the replay", async () => {
    const addresses = await database();
    await using store = await testStore(engine, addresses);
    const { conversation_id } = await store.conversations.begin({});
    await store.messages.storeBulk({ conversation_id, messages: Array.from({ length: 50 }, () => message("a")) });
    const options = storeOptions(addresses.connection);
    const main = new Database(options);
    const replica = await Replica.open(main, addresses.readConnection, options);
    await using _ = { [Symbol.asyncDispose]: async () => void (await Promise.all([main.close(), replica.close()])) };
    const reads = new Reads(main, replica);
    await until(async () => (await replica.health()).status === "ok");
    const places: boolean[] = [];
    const counted = await reads.search(async (within) => {
      const [place] = await within`select pg_is_in_recovery() as there, count(*) from messages`;
      places.push(place.there);
      if (place.there) {
        await store.conversations.delete({ conversation_id, force: true });
        await using sql = connect(addresses.connection);
        await sql`vacuum messages`;
        // The replica reports the conflict at the next statement.
        await within`select pg_sleep(30)`;
      }
      const [row] = await within`select count(*)::integer as messages from messages`;
      return row.messages;
    });
    expect(places).toEqual([true, false]);
    expect(counted).toBe(0);
    // One read that gave way says nothing of the replica.
    expect(await replica.goal()).toBeDefined();
  });

  test("cancels a search there, and ends it at its deadline without asking the primary too", async () => {
    const addresses = await database();
    await using store = await testStore(engine, { ...addresses, deadlineMs: 60_000, searchDeadlineMs: 60_000 });
    await using quick = await testStore(engine, { ...addresses, deadlineMs: 60_000, searchDeadlineMs: 300 });
    for (const each of [store, quick]) await answers(each, "replica");
    await using locking = connect(addresses.connection);
    await using watching = connect(addresses.readConnection);
    const waiting = async () => {
      const [row] = await watching`select count(*)::integer as count from pg_stat_activity
        where datname = current_database() and state = 'active' and wait_event_type = 'Lock'`;
      return row.count;
    };
    await locking`begin`;
    await locking`lock table dewey_vocabulary in access exclusive mode`;
    // What is committed after it takes it along.
    await store.conversations.begin({});
    await until(async () => {
      const [row] = await watching`select count(*)::integer as count from pg_locks where mode = 'AccessExclusiveLock'
        and relation = 'dewey_vocabulary'::regclass`;
      return row.count === 1;
    });
    const giveUp = new AbortController();
    const search = failure(store.search.find({ query: "zzyzxword", ...firstPage }, giveUp.signal));
    await until(async () => (await waiting()) === 1);
    giveUp.abort();
    expect((await search).message).toBe("the search was cancelled by its caller");
    await until(async () => (await waiting()) === 0);
    const before = quick.reads();
    const late = await failure(quick.search.find({ query: "zzyzxword", ...firstPage }));
    expect(late.message).toContain("the search took longer than 0.3 s");
    expect(quick.reads()).toEqual(before);
    await locking`rollback`;
  });

  test("refuses to begin with what is no replica of the database", async () => {
    const { connection, readConnection } = await database();
    const open = (read: Connection) => failure(openStore(storeOptions(connection, { readConnection: read })));
    const own = await open(connection);
    expect(own.code).toBe("conflict");
    expect(own.message).toContain("DEWEY_DB_READ_URL cannot be read from: it is no standby");
    expect((await open({ ...readConnection, database: "postgres" })).message).toContain(
      "a standby of another database",
    );
  });

  test("begins without a replica that is away or refuses Dewey, and no log holds its password", async () => {
    const { lines, log } = memory();
    const addresses = await database();
    const refused = { ...addresses.readConnection, user: "nobody_of_that_name", password: "hunter2" };
    for (const readConnection of [refused, { ...refused, host: "/nowhere" }]) {
      await using store = await testStore(engine, { ...addresses, readConnection, log });
      const { conversation_id } = await store.conversations.begin({});
      expect(await store.messages.page({ conversation_id })).toMatchObject({ conversation_id });
      expect(await replicaOf(store)).toMatchObject({ status: "unavailable" });
      lines.length = 0;
      await until(() => lines.length > 0);
      expect(lines.join("")).toMatch(/reads go to the primary.*(in DEWEY_DB_READ_URL|cannot be reached)/);
      expect(lines.join("") + JSON.stringify(await store.health())).not.toContain("hunter2");
    }
  });
});
