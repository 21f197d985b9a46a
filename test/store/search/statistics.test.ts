import { describe, expect, setDefaultTimeout, spyOn, test } from "bun:test";
import type { SQL } from "bun";
import { StatisticsCache } from "../../../src/store/search/statistics.ts";
import { connect, debian, privateCluster, testStore } from "../../support/postgres.ts";
import type { Engine } from "../../support/postgres.ts";
import { startStandby } from "../../support/replica.ts";
import { until } from "../../support/rpc.ts";

setDefaultTimeout(60_000);

/** What is known once what was known is no longer good. */
async function later(statistics: StatisticsCache, sql: SQL): Promise<string[]> {
  const hourMs = performance.now() + 3_600_000;
  using _clock = spyOn(performance, "now").mockReturnValue(hourMs);
  return [...(await statistics.get(sql)).frequencies.keys()];
}

// Without Debian's PostgreSQL 15 there is no replica; `reads.test.ts` says so.
describe.skipIf(!debian)("what the ranking knows of all messages", () => {
  test("is read anew on a replica when words are others in as many messages, as after a reindex", async () => {
    const engine = debian as Engine;
    await using primary = await privateCluster(engine);
    await using standby = await startStandby(primary);
    await using store = await testStore(engine, { connection: primary.connection });
    await using sql = connect(primary.connection);
    await using there = connect(standby.connection);
    const replayed = async () => {
      const [{ wal }] = await sql`select pg_current_wal_flush_lsn()::text as wal`;
      await until("the replay", async () => {
        const [row] = await there`select pg_last_wal_replay_lsn() >= ${wal}::pg_lsn as done`;
        return row.done === true;
      });
    };
    await store.messages.storeBulk({
      messages: Array.from({ length: 300 }, () => ({ role: "user", content: "swan" })),
    });
    await sql`analyze messages`;
    await replayed();
    const statistics = new StatisticsCache();
    expect([...(await statistics.get(there)).frequencies.keys()]).toEqual(["swan"]);
    await sql`update messages set search = 'heron:1'`;
    await sql`analyze messages`;
    await replayed();
    expect(await later(statistics, there)).toEqual(["heron"]);
  });
});
