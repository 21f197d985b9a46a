import { describe, expect, spyOn, test } from "bun:test";
import type { SQL } from "bun";
import { one } from "../../../src/store/database/one.ts";
import { StatisticsCache, timeOfNewest } from "../../../src/store/search/statistics.ts";
import { connect, debian, emptyDatabase, engines, privateCluster, testStore } from "../../support/postgres.ts";
import type { Engine } from "../../support/postgres.ts";
import { startStandby } from "../../support/replica.ts";
import { until } from "../../support/rpc.ts";

/** Returns the words that the statistics list after this much time. */
async function later(statistics: StatisticsCache, sql: SQL, ms: number): Promise<string[]> {
  const laterMs = performance.now() + ms;
  using _clock = spyOn(performance, "now").mockReturnValue(laterMs);
  return [...(await statistics.get(sql)).frequencies.keys()];
}

const swans = Array.from({ length: 300 }, () => ({ role: "user", content: "swan" }));

describe("the time of the newest messages", () => {
  const known = { rows: 500, frequencies: new Map(), leastFrequency: 1, pages: 1, averageLength: 1 };
  const anyTime = { from: undefined, until: undefined };

  test("is that at which a share of all begins", () => {
    const statistics = { ...known, times: [1000, 2000, 3000, 4000, 8000] };
    expect(timeOfNewest(statistics, 0.25, anyTime)).toBe(4000);
    expect(timeOfNewest(statistics, 0.125, anyTime)).toBe(6000);
    expect(timeOfNewest(statistics, 0.5, { from: undefined, until: new Date(3000) })).toBe(2000);
    expect(timeOfNewest(statistics, 0.5, { from: new Date(3000), until: undefined })).toBe(4000);
  });

  test("has no limit for most of all messages, or without statistics", () => {
    expect(timeOfNewest({ ...known, times: [1000, 2000] }, 0.51, anyTime)).toBe(0);
    expect(timeOfNewest({ ...known, times: [] }, 0.1, anyTime)).toBe(0);
  });
});

for (const engine of engines) {
  test(`the ranking's statistics on ${engine.name} are kept for a minute, then read again if there was an ANALYZE`, async () => {
    const connection = await emptyDatabase(engine);
    await using store = await testStore(engine, { connection });
    await using sql = connect(connection);
    await store.messages.storeBulk({ messages: swans });
    await sql`analyze messages`;
    const statistics = new StatisticsCache();
    expect(await statistics.get(sql)).toMatchObject({ rows: 300, averageLength: 1, leastFrequency: 1 });
    await sql`update messages set search = 'heron:1'`;
    await sql`analyze messages`;
    expect(await later(statistics, sql, 50_000)).toEqual(["swan"]);
    expect(await later(statistics, sql, 70_000)).toEqual(["heron"]);
  });
}

// Without Debian's PostgreSQL 15 there is no replica; `reads.test.ts` says so.
describe.skipIf(!debian)("the ranking's statistics", () => {
  test("are read again on a replica when as many messages have other words, as after a reindex", async () => {
    const engine = debian as Engine;
    await using primary = await privateCluster(engine);
    await using standby = await startStandby(primary);
    await using store = await testStore(engine, { connection: primary.connection });
    await using sql = connect(primary.connection);
    await using there = connect(standby.connection);
    const replayed = async () => {
      const { wal } = await one<{ wal: string }>(sql`select pg_current_wal_flush_lsn()::text as wal`);
      await until("the replay", async () => {
        const replay = there`select pg_last_wal_replay_lsn() >= ${wal}::pg_lsn as done`;
        return (await one<{ done: boolean }>(replay)).done;
      });
    };
    await store.messages.storeBulk({ messages: swans });
    await sql`analyze messages`;
    await replayed();
    const statistics = new StatisticsCache();
    expect([...(await statistics.get(there)).frequencies.keys()]).toEqual(["swan"]);
    await sql`update messages set search = 'heron:1'`;
    await sql`analyze messages`;
    await replayed();
    expect(await later(statistics, there, 3_600_000)).toEqual(["heron"]);
  });
});
