import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { SQL } from "bun";
import { Audit } from "../../../src/store/audit.ts";
import { Contexts } from "../../../src/store/contexts.ts";
import { Conversations } from "../../../src/store/conversations.ts";
import { Database } from "../../../src/store/database/database.ts";
import type { Statement } from "../../../src/store/database/pool.ts";
import { Reads } from "../../../src/store/database/reads.ts";
import { Messages } from "../../../src/store/messages.ts";
import { Results } from "../../../src/store/results.ts";
import { IndexSorter } from "../../../src/store/search/index-sorter.ts";
import { Search } from "../../../src/store/search/search.ts";
import { Workshop } from "../../../src/store/workshop/workshop.ts";
import { Stats } from "../../../src/store/stats.ts";
import type { Store } from "../../../src/store/store.ts";
import { Tail } from "../../../src/store/tail.ts";
import { PATIENCE_MS } from "../../support/patience.ts";
import { emptyDatabase, engines, storeOptions, testStore } from "../../support/postgres.ts";
import { quiet } from "../../support/quiet.ts";

const page = { limit: 10, offset: 0 };

for (const engine of engines) {
  describe(`a reply of several statements on ${engine.name}`, () => {
    let store: Store;
    let database: Database;
    const session_id = "read";
    let conversation_id: string;
    let start: string;

    beforeAll(async () => {
      const options = storeOptions(await emptyDatabase(engine), {
        deadlineMs: PATIENCE_MS,
        searchDeadlineMs: PATIENCE_MS,
      });
      store = await testStore(engine, options);
      database = new Database(options);
      start = (await store.tail.read({ limit: 1 })).cursor;
      ({ conversation_id } = await store.conversations.begin({ session_id, metadata: { of: "the first" } }));
      await write();
    });
    afterAll(() => Promise.all([store.close(), database.close()]));

    /** Changes every reply below. */
    async function write(): Promise<void> {
      const other = await store.conversations.begin({ session_id });
      for (const each of [conversation_id, other.conversation_id])
        await store.messages.store({ conversation_id: each, role: "user", content: "a heron waits" });
      await store.results.store({ correlation_id: "read", model: "m", output: "an answer" });
      await store.contexts.set({ name: "read", content: crypto.randomUUID(), set_active: true });
    }

    type Parts = ReturnType<typeof parts>;
    const replies: [string, (parts: Parts) => Promise<unknown>][] = [
      [
        "a list of conversations",
        ({ conversations }) => conversations.list({ ...page, session_id, sort_by: "updated_at" }),
      ],
      ["a page of a conversation", ({ messages }) => messages.page({ conversation_id })],
      ["a list of results", ({ results }) => results.find({ ...page, correlation_id: "read" })],
      ["a context's history", ({ contexts }) => contexts.history({ ...page, name: "read" })],
      [
        "a search",
        async ({ search }) => {
          const { results, total } = await search.find({ ...page, query: "heron", context: 1 });
          return { hits: new Set(results.map((hit) => `${hit.conversation_id}/${hit.turn}`)), total };
        },
      ],
      [
        "the statistics",
        async ({ stats }) => {
          // The size on disk belongs to no snapshot.
          const { database_bytes: _, ...counts } = await stats.read({ days: 1, time_zone: "UTC" });
          return counts;
        },
      ],
      ["the new messages", async ({ tail }) => (await tail.read({ cursor: start, limit: 100 })).messages],
    ];

    test.each(replies)("is as of one moment, whatever is committed between them: %s", async (_, read) => {
      const before = await read(parts(database));
      let writes = 0;
      const interrupted = await read(
        parts(
          interrupting(database, async () => {
            writes += 1;
            await write();
          }),
        ),
      );
      expect(writes).toBeGreaterThan(1);
      expect(interrupted).toEqual(before);
      expect(await read(parts(database))).not.toEqual(before);
    });
  });
}

function parts(database: Database) {
  const { redactor } = storeOptions({ host: "", port: 0, database: "", user: "" });
  const reads = new Reads(database, undefined);
  const workshop = new Workshop(redactor, quiet);
  const audit = new Audit(database, redactor, quiet);
  return {
    conversations: new Conversations(database, reads, 30, workshop, audit),
    messages: new Messages(database, reads, workshop, new IndexSorter(database, quiet)),
    results: new Results(database, workshop),
    contexts: new Contexts(database, redactor, audit),
    search: new Search(database, reads, quiet, (key) => key),
    stats: new Stats(reads),
    tail: new Tail(database, redactor),
  };
}

/** The same database, with `meanwhile` after each statement of a read. */
function interrupting(database: Database, meanwhile: () => Promise<void>): Database {
  const passing =
    (method: "retried" | "snapshot" | "search") =>
    <Result>(work: Statement<Result>, ...rest: unknown[]) =>
      (database[method] as (work: Statement<Result>, ...rest: unknown[]) => Promise<Result>).call(
        database,
        (sql) => work(interruptedSql(sql, meanwhile)),
        ...rest,
      );
  const methods = { retried: passing("retried"), snapshot: passing("snapshot"), search: passing("search") };
  return { ...methods, deadlineMs: database.deadlineMs } as unknown as Database;
}

function interruptedSql(sql: SQL, meanwhile: () => Promise<void>): SQL {
  /** A fragment of another statement is never awaited, so it is not interrupted. */
  const interrupted = <Query>(query: Query): Query => {
    if (!(query instanceof Promise)) return query;
    const run = query.then.bind(query);
    return Object.assign(query, {
      // oxlint-disable-next-line no-thenable
      then: (resolved: (value: unknown) => unknown, rejected: (error: unknown) => unknown) =>
        run(async (rows: unknown) => {
          await meanwhile();
          return rows;
        }).then(resolved, rejected),
    });
  };
  return new Proxy(sql, {
    apply: (target, self, args) => interrupted(Reflect.apply(target as unknown as () => unknown, self, args)),
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (name === "begin")
        return (options: string, work: Statement<unknown>) =>
          target.begin(options, (within) => work(interruptedSql(within, meanwhile)));
      if (name === "unsafe") return (...args: Parameters<SQL["unsafe"]>) => interrupted(target.unsafe(...args));
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}
