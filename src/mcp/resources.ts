import { z } from "zod";
import { asDeweyError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import { UUID_PATTERN } from "../tools/fields.ts";
import { conversationText } from "./conversation-text.ts";
import { INVALID_PARAMS, paramsOf, protocolError } from "./protocol-error.ts";

type Json = Record<string, unknown>;

/** The latest conversations that are listed; clients show the list to people, and the template reaches all others. */
const LISTED_CONVERSATIONS = 100;

const MARKDOWN = "text/markdown";
const CONVERSATION = "dewey://conversation/";
const CONTEXT = "dewey://context/";

export const CONVERSATION_TEMPLATE = `${CONVERSATION}{id}{?after_turn}`;
export const CONTEXT_TEMPLATE = `${CONTEXT}{name}`;

export const resourceTemplates = [
  {
    uriTemplate: CONVERSATION_TEMPLATE,
    name: "conversation",
    title: "Conversation",
    description: "A conversation's messages in order, from turn 1 or after after_turn",
    mimeType: MARKDOWN,
  },
  {
    uriTemplate: CONTEXT_TEMPLATE,
    name: "context",
    title: "Startup context",
    description: "What new sessions are told, by the context's name",
    mimeType: MARKDOWN,
  },
];

/** A conversation as people look for it. */
interface ListedConversation {
  id: string;
  title: string | null;
  updated_at: string;
}

/** The name under which people look for a conversation; its time when it has none. */
export function titleOf(conversation: ListedConversation): string {
  return conversation.title ?? `Conversation of ${conversation.updated_at.slice(0, 16)}Z`;
}

/** A link to a conversation, as an entry of a list or a block of a result. */
export function conversationResource(id: string, title: string) {
  return { uri: CONVERSATION + id, name: id, title, mimeType: MARKDOWN };
}

/** The startup contexts by name, then the latest conversations. */
export async function listResources(store: Store): Promise<{ resources: Json[] }> {
  const [contexts, { conversations }] = await Promise.all([
    store.contexts.list({ include_content: false }),
    latestConversations(store),
  ]);
  return {
    resources: [
      ...contexts.map(({ name, is_active, updated_at }) => ({
        uri: CONTEXT + encodeURIComponent(name),
        name,
        title: `Startup context ${name}${is_active ? " (active)" : ""}`,
        mimeType: MARKDOWN,
        annotations: { lastModified: updated_at },
      })),
      ...conversations.map((conversation) => ({
        ...conversationResource(conversation.id, titleOf(conversation)),
        annotations: { lastModified: conversation.updated_at },
      })),
    ],
  };
}

export function latestConversations(store: Store) {
  return store.conversations.list({ limit: LISTED_CONVERSATIONS, offset: 0, sort_by: "updated_at" });
}

const readParams = z.looseObject({ uri: z.string("should be the address of a resource") });

/** The text of a resource. Throws a `ProtocolError` for an address that leads nowhere. */
export async function readResource(params: unknown, store: Store): Promise<{ contents: Json[] }> {
  const { uri } = paramsOf(readParams, params);
  try {
    const text = (await contextText(uri, store)) ?? (await conversationOf(uri, store));
    if (text !== undefined) return { contents: [{ uri, mimeType: MARKDOWN, text }] };
  } catch (thrown) {
    if (asDeweyError(thrown).code !== "not_found") throw thrown;
  }
  const message = "there is no such resource; resources/list and resources/templates/list name the existing ones";
  throw protocolError(INVALID_PARAMS, message, { uri });
}

async function contextText(uri: string, store: Store): Promise<string | undefined> {
  if (!uri.startsWith(CONTEXT)) return undefined;
  const name = decoded(uri.slice(CONTEXT.length));
  // PostgreSQL takes neither, so no context has them in its name.
  if (name === undefined || name.includes("\0") || !name.isWellFormed()) return undefined;
  return (await store.contexts.get({ name }))?.content;
}

async function conversationOf(uri: string, store: Store): Promise<string | undefined> {
  if (!uri.startsWith(CONVERSATION)) return undefined;
  const [id = "", query = ""] = uri.slice(CONVERSATION.length).split("?", 2);
  const after = new URLSearchParams(query).get("after_turn") ?? "0";
  if (!UUID_PATTERN.test(id) || !/^\d{1,9}$/.test(after)) return undefined;
  const page = await store.messages.page({
    conversation_id: id,
    ...(after === "0" ? {} : { after_turn: Number(after) }),
  });
  const next = page.next_after_turn;
  return conversationText(
    page,
    titleOf({ ...page, id }),
    next === undefined ? undefined : `${CONVERSATION}${id}?after_turn=${next}`,
  );
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
