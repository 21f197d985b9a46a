import type { ConversationPage } from "../store/page.ts";
import { QUOTATION } from "../tools/tool.ts";
import { oneLine } from "../visible.ts";

/** A page of a conversation as text for people and models; `next` is the address of the next page. */
export function conversationText(page: ConversationPage, title: string, next?: string): string {
  const head = [`# ${oneLine(title)}`, `Conversation ${page.conversation_id}, begun ${page.created_at}.`, QUOTATION];
  const turns = page.messages.map((message) => {
    const rest = message.next_content_offset;
    const note =
      rest === undefined
        ? ""
        : `\n\n[cut; dewey_get_conversation with turn ${message.turn} and content_offset ${rest} reads on]`;
    return `## ${message.turn} · ${message.role} · ${message.created_at}\n\n${message.content}${note}`;
  });
  return [...head, ...turns, ...(next === undefined ? [] : [`[continued in ${next}]`])].join("\n\n");
}
