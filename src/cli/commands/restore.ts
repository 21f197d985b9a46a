import { clientCommand, jsonText, wantedOperands } from "../client-command.ts";
import { conversationIdsOf } from "../conversation-id.ts";
import { counted } from "../terminal.ts";

interface Restored {
  restored: boolean;
  message_count: number;
}

export const restore = clientCommand({
  name: "restore",
  summary: "restores conversations from the trash",
  usage: ["dewey restore ID … [--json]"],
  operands: Infinity,
  about: "dewey list --trash shows what can be restored.",
  examples: ["dewey restore 3f2a91c4"],
  async work(talk) {
    const { call, out, json, invocation } = talk;
    const what = "the id of a conversation, as dewey rm printed it";
    const given = wantedOperands({ name: "restore" }, invocation, what);
    for (const id of await conversationIdsOf(talk, given, "in the trash")) {
      const reply = await call<Restored>(
        "dewey_restore_conversation",
        { conversation_id: id },
        { ID: "conversation_id" },
      );
      const fate = reply.restored ? "is back" : "was not in the trash";
      const messages = counted(reply.message_count, "message");
      await out.write(json ? jsonText({ conversation_id: id, ...reply }) : `${id} (${messages}) ${fate}\n`);
    }
  },
});
