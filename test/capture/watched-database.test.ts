import { afterEach, expect, setSystemTime, test } from "bun:test";
import { WatchedDatabase } from "../../src/capture/watched-database.ts";

afterEach(() => void setSystemTime());

test("a database rests after it was read, also when that has failed", async () => {
  const broken = () => Promise.reject(new Error("malformed"));
  for (const read of [() => Promise.resolve(true), broken]) {
    const now = Date.parse("2026-01-01");
    const facts = { bytes: 1, inode: 1, modifiedMs: now - 3_600_000 };
    setSystemTime(now);
    const database = new WatchedDatabase();
    expect(database.isReady(facts)).toBe(true);
    await database.read(read).catch(() => {});
    expect(database.isReady(facts)).toBe(false);
    setSystemTime(now + 3_600_000);
    expect(database.isReady(facts)).toBe(true);
  }
});

test("a session counts as new until the database was read to its end with it", async () => {
  const database = new WatchedDatabase();
  const session = [{ kind: "repeated" as const }];
  const sent: boolean[] = [];
  for (const isEnd of [false, true, true])
    await database.read(() => {
      sent.push(database.isNew(session));
      return Promise.resolve(isEnd);
    });
  expect(sent).toEqual([true, true, false]);
});
