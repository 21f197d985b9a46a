import type { Connection } from "../../src/store/database/connection.ts";
import type { Store } from "../../src/store/store.ts";
import { lockConversation } from "./locked-conversation.ts";
import { connect } from "./postgres.ts";
import { until } from "./rpc.ts";

/** Texts long enough that one call stores them in two parts, each ending in a word of its own. */
export function textsOfTwoParts(end: (index: number) => string): string[] {
  return Array.from({ length: 6 }, (_, index) => `${"word ".repeat(24_000)} ${end(index)}`);
}

/** Stores texts by an import's call. */
export function importTexts(store: Store, conversation_id: string, texts: string[]) {
  const messages = texts.map((content) => ({ role: "user", content }));
  return store.messages.storeBulk({ conversation_id, messages, skip_copies: true });
}

/** The processes of the database in which words wait for their turn to be stored. */
export async function wordsWaiting(connection: Connection): Promise<number[]> {
  await using sql = connect(connection);
  const rows: { pid: number }[] = await sql`select pid from pg_stat_activity where datname = current_database()
    and state = 'idle in transaction' and query like '%dewey_make_words%'`;
  return rows.map(({ pid }) => pid);
}

/** An import's call of which the first part waits for its conversation, until `letGo`, and the words of the second are made. */
export async function partsAhead(store: Store, connection: Connection, conversation_id: string, texts: string[]) {
  // The index may be tended just now, and words are made ahead only while two connections are free.
  await until("free connections", async () => (store.pools()["main"]?.busy ?? 0) === 0);
  const lock = await lockConversation(connection, conversation_id);
  const storing = importTexts(store, conversation_id, texts);
  await until("words of the second part", async () => (await wordsWaiting(connection)).length > 0);
  return { storing, letGo: () => lock[Symbol.asyncDispose]() };
}
