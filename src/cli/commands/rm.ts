import { clientCommand, jsonText, wantedOperands } from "../client-command.ts";
import { conversationIdsOf } from "../conversation-id.ts";
import { counted, localTime } from "../terminal.ts";

interface Deleted {
  deleted: true;
  messages_deleted: number;
  restorable_until?: string;
}

export const rm = clientCommand({
  name: "rm",
  summary: "moves conversations to the trash",
  usage: ["dewey rm ID … [--force] [--json]"],
  about: "dewey restore brings them back until the server's DEWEY_TRASH_DAYS have passed.",
  flags: { force: { summary: "delete at once and for good, even from the trash" } },
  operands: Infinity,
  examples: ["dewey rm 3", "dewey rm 3f2a91c4 --force"],
  async work(talk) {
    const { call, out, json, invocation, terminal } = talk;
    const force = invocation.flags["force"] === true;
    const given = wantedOperands({ name: "rm" }, invocation, "the id of a conversation; dewey list shows it");
    for (const id of await conversationIdsOf(talk, given, force ? "anywhere" : "outside the trash")) {
      const reply = await call<Deleted>(
        "dewey_delete_conversation",
        { conversation_id: id, force },
        { ID: "conversation_id" },
      );
      const messages = counted(reply.messages_deleted, "message");
      const fate =
        reply.restorable_until === undefined
          ? "gone for good"
          : `in the trash until ${localTime(reply.restorable_until)}; bring it back with: ${invocation.typed("dewey restore")} ${id}`;
      await out.write(
        json ? jsonText({ conversation_id: id, ...reply }) : terminal.prose(`${id} (${messages}) is ${fate}\n`),
      );
    }
  },
});
