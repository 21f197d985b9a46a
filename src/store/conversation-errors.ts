import { DeweyError } from "../errors.ts";

const field = { field: "conversation_id" };

/** There is no such conversation, or it is in the trash. */
export function notFound(conversationId: string): DeweyError {
  return new DeweyError(
    "not_found",
    `there is no conversation ${conversationId}; dewey_list_conversations lists the existing ones`,
    field,
  );
}

/** There is no such conversation, not even in the trash. */
export function foundNowhere(conversationId: string): DeweyError {
  return new DeweyError("not_found", `there is no conversation ${conversationId}, in the trash or outside it`, field);
}

/** The id that a caller has chosen stands for another conversation. */
export function taken(message: string): DeweyError {
  return new DeweyError("conflict", message, field);
}
