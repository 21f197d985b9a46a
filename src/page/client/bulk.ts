import type { Action } from "../action.ts";
import { callError } from "./connection.ts";
import type { CallError } from "./connection.ts";
import { call } from "./dewey.ts";
import type { ConversationSummary } from "./replies.ts";

/** What became of each. */
export interface Outcome {
  done: ConversationSummary[];
  failed: { row: ConversationSummary; error: CallError }[];
}

/** Does one thing to several conversations; one that fails does not keep the others from it. */
export async function doToAll(what: Action, rows: readonly ConversationSummary[]): Promise<Outcome> {
  const outcome: Outcome = { done: [], failed: [] };
  for (const row of rows) {
    try {
      await doTo(what, row.id);
      outcome.done.push(row);
    } catch (error) {
      outcome.failed.push({ row, error: callError(error) });
    }
  }
  return outcome;
}

async function doTo(what: Action, conversation_id: string): Promise<void> {
  const changes = { changes: true };
  if (what === "trash") await call("dewey_delete_conversation", { conversation_id }, changes);
  else if (what === "restore") await call("dewey_restore_conversation", { conversation_id }, changes);
  else await call("dewey_update_conversation", { conversation_id, starred: what === "star" }, changes);
}
