import type { Connection } from "../../../src/store/database/connection.ts";
import { connect } from "../../support/postgres.ts";
import { Rpc } from "../../support/rpc.ts";
import { toolFrame } from "./dewey.ts";
import { Writer } from "./text.ts";

const CONTENT_CHARACTERS = 400;
/** Few different texts suffice: pgbench prepares every script on every connection. */
export const texts = Array.from({ length: 10 }, (_, seed) => new Writer(seed).text(CONTENT_CHARACTERS));

/** The conversation that a client stores into. */
export function conversationId(number: number): string {
  return `00000000-0000-4000-8000-${`${number}`.padStart(12, "0")}`;
}

/** A call that stores a message of 400 bytes. */
export function storeFrame(conversation_id: string, id: number): string {
  return toolFrame(id, "dewey_store_message", { conversation_id, role: "user", content: textNumber(id) });
}

/** One of the texts, by number. */
export function textNumber(number: number): string {
  return texts[number % texts.length] ?? "";
}

/** Creates the conversations of a load, and checks that the database waits for the disk. */
export async function beginConversations(url: string, connection: Connection, count: number): Promise<void> {
  const dewey = await Rpc.open(url);
  await dewey.initialize();
  for (let number = 0; number < count; number++) {
    await dewey.tool("dewey_begin_conversation", { conversation_id: conversationId(number) });
  }
  dewey.close();
  await using sql = connect(connection);
  const [row] =
    await sql`select current_setting('fsync') as fsync, current_setting('synchronous_commit') as synchronous`;
  if (row.fsync !== "on" || row.synchronous !== "on") throw new Error("the database does not wait for the disk");
}

/** Speed counts only with correct results: turns without gap or repeat, and counters that match the rows. */
export async function checkTurns(connection: Connection): Promise<void> {
  await using sql = connect(connection);
  const wrong: unknown[] = await sql`
    select c.id from conversations c join messages m on m.conversation_id = c.id group by c.id
    having count(*) <> max(m.turn_number) or min(m.turn_number) <> 1 or count(*) <> c.message_count or c.last_turn <> count(*)`;
  if (wrong.length > 0) throw new Error(`${wrong.length} conversations have wrong turns`);
}
