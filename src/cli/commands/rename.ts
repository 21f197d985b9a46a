import { clientCommand, wantedOperands } from "../client-command.ts";
import { usageError } from "../command.ts";
import { conversationIdOf } from "../conversation-id.ts";
import { oneLine } from "../../visible.ts";

export const rename = clientCommand({
  name: "rename",
  summary: "gives a conversation a title",
  usage: ["dewey rename ID TITLE …"],
  about: "Lists, searches and exports show it. A client or an import does not replace it.",
  flags: {},
  operands: Infinity,
  examples: ["dewey rename 2 The flaky test of the shipper"],
  async work(talk) {
    const { call, out, terminal, json, invocation } = talk;
    const [given = "", ...words] = wantedOperands(rename, invocation, "the id of a conversation and its title");
    const title = words.join(" ").trim();
    if (title === "") throw usageError(rename, "needs a title behind the id");
    const reply = await call<{ title: string }>(
      "dewey_update_conversation",
      { conversation_id: await conversationIdOf(talk, given), title },
      { ID: "conversation_id", TITLE: "title" },
    );
    if (json) return out.write(`${JSON.stringify(reply)}\n`);
    await out.write(`${terminal.paint("name", oneLine(reply.title))}\n`);
  },
});
