import type { SQL } from "bun";
import type { Connection } from "../../src/store/database/connection.ts";
import type { Store } from "../../src/store/store.ts";
import { connect } from "./postgres.ts";
import { until } from "./rpc.ts";

/** An import's call of which the first part waits for its conversation while the words of the second are made. */
export interface PartsAhead {
  storing: Promise<{ stored: number }>;
  /** Resolves when no words wait for their turn any more. */
  untilGivenUp(): Promise<unknown>;
  letGo(): Promise<void>;
}

/** Texts long enough that one call stores them in two parts, each ending in a word of its own. */
export function textsOfTwoParts(end: (index: number) => string): string[] {
  return Array.from({ length: 6 }, (_, index) => `${"word ".repeat(24_000)} ${end(index)}`);
}

export async function partsAhead(
  store: Store,
  connection: Connection,
  conversation_id: string,
  texts: string[],
): Promise<PartsAhead> {
  const sql = connect(connection);
  const locked = Promise.withResolvers<void>();
  const lock = Promise.withResolvers<void>();
  const holding = sql.begin(async (within) => {
    await within`select from conversations where id = ${conversation_id} for update`;
    locked.resolve();
    await lock.promise;
  });
  await locked.promise;
  const messages = texts.map((content) => ({ role: "user", content }));
  const storing = store.messages.storeBulk({ conversation_id, messages, skip_copies: true });
  const watching = connect(connection);
  await until("words of the second part", () => areWaiting(watching));
  return {
    storing,
    untilGivenUp: () => until("the words' end", async () => !(await areWaiting(watching))),
    async letGo() {
      lock.resolve();
      await holding;
      await sql.close();
      await watching.close();
    },
  };
}

async function areWaiting(sql: SQL): Promise<boolean> {
  const rows: unknown[] = await sql`select from pg_stat_activity where datname = current_database()
    and state = 'idle in transaction' and query like '%dewey_make_words%'`;
  return rows.length > 0;
}
