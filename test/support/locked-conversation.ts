import type { Connection } from "../../src/store/database/connection.ts";
import { connect } from "./postgres.ts";

/** Locks a conversation, so that what is to be stored in it waits until the block ends. */
export async function lockConversation(connection: Connection, conversation_id: string): Promise<AsyncDisposable> {
  const sql = connect(connection);
  const locked = Promise.withResolvers<void>();
  const lock = Promise.withResolvers<void>();
  const holding = sql.begin(async (within) => {
    await within`select from conversations where id = ${conversation_id} for update`;
    locked.resolve();
    await lock.promise;
  });
  await locked.promise;
  return {
    async [Symbol.asyncDispose]() {
      lock.resolve();
      await holding;
      await sql.close();
    },
  };
}
