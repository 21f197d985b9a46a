import { MAX_FRAME_BYTES } from "../../wire/frame.ts";
import type { Delivery, RecordedMessage } from "./record.ts";

/** Limits on one bulk call: large enough to be fast, small enough to repeat. */
const MAX_BATCH_MESSAGES = 500;
const MAX_BATCH_CHARACTERS = 4_000_000;
/** Characters that a JSON-RPC call adds around a message. */
const CALL_OVERHEAD_CHARACTERS = 1000;

/** One call to a tool of the store, and the number of deliveries in it. */
export interface DeliveryCall {
  tool: string;
  args: Record<string, unknown>;
  deliveries: number;
  messages: number;
}

/** A delivery with its size from `charactersOf`. */
export interface SizedDelivery {
  delivery: Delivery;
  characters: number;
}

/** The call for a conversation's first delivery, together with the messages behind it that fit into the same call. */
export function nextCall(waiting: readonly SizedDelivery[], mostMessages: number): DeliveryCall | undefined {
  const first = waiting[0]?.delivery;
  if (first === undefined) return undefined;
  if (first.kind === "begin") {
    const { conversation, sessionKey, metadata } = first;
    const key = sessionKey === undefined ? {} : { session_id: sessionKey };
    return call("dewey_begin_conversation", { conversation_id: conversation, ...key, metadata });
  }
  if (first.kind === "end") {
    return call("dewey_update_conversation", { conversation_id: first.conversation, metadata: first.metadata });
  }
  if (first.kind === "result") return call("dewey_store_fiedler_result", { ...first.result, follow_to_trash: true });
  const messages: RecordedMessage[] = [];
  let left = MAX_BATCH_CHARACTERS;
  for (const { delivery, characters } of waiting.slice(0, Math.min(mostMessages, MAX_BATCH_MESSAGES))) {
    left -= characters;
    if (delivery.kind !== "message" || (left < 0 && messages.length > 0)) break;
    messages.push(fitting(delivery.message));
  }
  const args = { conversation_id: first.conversation, follow_to_trash: true, messages };
  return { tool: "dewey_store_messages_bulk", args, deliveries: messages.length, messages: messages.length };
}

/** Approximate size of a delivery, in memory and in its call. */
export function charactersOf(delivery: Delivery): number {
  if (delivery.kind !== "message") return CALL_OVERHEAD_CHARACTERS;
  const { content, metadata } = delivery.message;
  return content.length + JSON.stringify(metadata).length;
}

function call(tool: string, args: Record<string, unknown>): DeliveryCall {
  return { tool, args, deliveries: 1, messages: 0 };
}

/**
 * Cuts a message that would exceed the largest frame because JSON escapes its content to more than its original size. Its
 * metadata then has the full length.
 */
function fitting(message: RecordedMessage): RecordedMessage {
  const most = MAX_FRAME_BYTES - CALL_OVERHEAD_CHARACTERS;
  if (message.content.length * 6 <= most || Buffer.byteLength(JSON.stringify(message)) <= most) return message;
  const content = message.content.slice(0, Math.floor(most / 12)).toWellFormed();
  return { ...message, content, metadata: { ...message.metadata, cut_from_characters: message.content.length } };
}
