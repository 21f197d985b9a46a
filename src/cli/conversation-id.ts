import { DeweyError } from "../errors.ts";
import type { ConversationList } from "../store/conversations.ts";
import type { Talk } from "./client-command.ts";
import { isId } from "./conversation.ts";
import { lastListing } from "./last-listing.ts";
import { titleOf } from "./listing.ts";
import { counted } from "./terminal.ts";

/** Candidates that an error lists for the beginning of several ids. */
const MAX_CANDIDATES = 10;
/** Numbers of a list have at most so many digits; longer ones are beginnings of ids. */
const MAX_NUMBER_DIGITS = 4;

const ID_BEGINNING = /^[0-9a-f][0-9a-f-]{3,35}$/i;

/** Where a conversation is sought by the beginning of its id. */
type Where = "outside the trash" | "in the trash" | "anywhere";

type Asking = Pick<Talk, "call" | "terminal" | "dataDir">;

/**
 * The id of the conversation that a person names: by its id or the beginning of it, by its number in the list shown last, or
 * as `last`, the one with the newest message. Throws `not_found`, and `invalid` with the candidates when several begin so.
 */
export async function conversationIdOf(
  { call, terminal, dataDir }: Asking,
  given: string,
  where: Where = "outside the trash",
): Promise<string> {
  if (isId.test(given)) return given.toLowerCase();
  const find = (args: object, in_trash = where === "in the trash") =>
    call<ConversationList>("dewey_list_conversations", { ...args, ...(in_trash ? { in_trash } : {}) });
  if (given === "last") return newest(await find({ limit: 1 }));
  if (/^\d+$/.test(given) && given.length <= MAX_NUMBER_DIGITS) return numbered(given, dataDir);
  if (!ID_BEGINNING.test(given))
    throw wrong("invalid", `${JSON.stringify(given)} names no conversation; give ${FORMS} (dewey list shows them)`);
  const beginning = { id_prefix: given, limit: MAX_CANDIDATES };
  const lists = [await find(beginning), ...(where === "anywhere" ? [await find(beginning, true)] : [])];
  const conversations = lists.flatMap((list) => list.conversations).slice(0, MAX_CANDIDATES);
  const total = lists.reduce((sum, list) => sum + list.total, 0);
  const [only, ...others] = conversations;
  if (only === undefined)
    throw wrong(
      "not_found",
      `there is no conversation whose id begins with ${given}; dewey list shows those there are`,
    );
  if (others.length === 0) return only.id;
  const candidates = conversations.map((each) => `  ${each.id}  ${terminal.fit(titleOf(each), 40)}`).join("\n");
  throw wrong("invalid", `${counted(total, "id")} begin with ${given}; give more of one:\n${candidates}`);
}

/**
 * The ids of all conversations that a person names, each once. All are sought before any is returned, so that a wrong one
 * among them changes nothing. Throws as `conversationIdOf` does.
 */
export async function conversationIdsOf(asking: Asking, given: string[], where?: Where): Promise<string[]> {
  const ids: string[] = [];
  for (const name of given) ids.push(await conversationIdOf(asking, name, where));
  const whole = given.length > 1 ? given.filter((name) => isId.test(name)) : [];
  for (const id of whole) await requireConversation(asking, id);
  return [...new Set(ids)];
}

/** Throws `not_found` when no conversation has the id, neither outside the trash nor in it. */
async function requireConversation({ call }: Asking, id: string): Promise<void> {
  for (const trash of [{}, { in_trash: true }]) {
    const list = await call<ConversationList>("dewey_list_conversations", { id_prefix: id, limit: 1, ...trash });
    if (list.total > 0) return;
  }
  throw wrong("not_found", `there is no conversation ${id}; dewey list shows those there are`);
}

const FORMS = "the first characters of its id, its number in the last list, or: last";

function newest({ conversations: [latest] }: ConversationList): string {
  if (latest) return latest.id;
  throw wrong("not_found", "there are no conversations yet; dewey connect claude-code records them");
}

function numbered(given: string, dataDir: string): string {
  const ids = lastListing(dataDir);
  const id = ids[Number(given) - 1];
  if (id !== undefined) return id;
  const known =
    ids.length === 0
      ? "no list with entries was shown"
      : `the last list has ${counted(ids.length, "entry", "entries")}`;
  throw wrong("not_found", `there is no conversation number ${given}: ${known}; see: dewey list`);
}

function wrong(code: "invalid" | "not_found", message: string): DeweyError {
  return new DeweyError(code, message, { field: "ID" });
}
