import { clientCommand, jsonText, wantedOperands } from "../client-command.ts";
import type { Talk } from "../client-command.ts";
import { conversationIdsOf } from "../conversation-id.ts";
import { oneLine } from "../../visible.ts";

export const star = clientCommand({
  name: "star",
  summary: "marks conversations as favourites",
  usage: ["dewey star ID … [--json]"],
  about: "dewey list --starred lists them; dewey unstar takes the star away.",
  examples: ["dewey star last"],
  operands: Infinity,
  work: (talk) => mark(talk, "star", true),
});

export const unstar = clientCommand({
  name: "unstar",
  summary: "takes the star from conversations",
  usage: ["dewey unstar ID … [--json]"],
  examples: ["dewey unstar 3"],
  operands: Infinity,
  work: (talk) => mark(talk, "unstar", false),
});

async function mark(talk: Talk, name: string, starred: boolean): Promise<void> {
  const { call, out, json, invocation } = talk;
  const given = wantedOperands({ name }, invocation, "the id of a conversation; dewey list shows it");
  for (const conversation_id of await conversationIdsOf(talk, given)) {
    const reply = await call<{ title: string | null }>("dewey_update_conversation", { conversation_id, starred });
    const title = oneLine(reply.title ?? conversation_id);
    await out.write(json ? jsonText(reply) : `${starred ? "★ " : ""}${title}\n`);
  }
}
