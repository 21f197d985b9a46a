import { z } from "zod";
import type { Store } from "../store/store.ts";
import { UUID_PATTERN } from "../tools/fields.ts";
import { lastDigest } from "../tools/session-digest.ts";
import { QUOTATION } from "../tools/tool.ts";
import { oneLine } from "../visible.ts";
import { conversationText } from "./conversation-text.ts";
import { INVALID_PARAMS, paramsOf, protocolError } from "./protocol-error.ts";
import { titleOf } from "./resources.ts";

type Arguments = Record<string, string>;

interface Prompt {
  title: string;
  description: string;
  arguments: { name: string; description: string; required?: true }[];
  /** The text that the user sends to the model. */
  text(args: Arguments, store: Store, signal: AbortSignal): Promise<string>;
}

/** Hits that `recall` shows; the model searches on by itself. */
const RECALLED = 8;

/** The prompts that clients offer to people, in Claude Code as slash commands. */
const prompts: Record<string, Prompt> = {
  recall: {
    title: "Recall a topic",
    description: "Tells what was said and done about a topic in earlier conversations",
    arguments: [{ name: "topic", description: "what to recall, in plain words", required: true }],
    text: recall,
  },
  continue: {
    title: "Continue the last work",
    description: "Goes on where the last sessions in a folder have ended",
    arguments: [{ name: "folder", description: "the folder, as an absolute path; default: the current one" }],
    text: goOn,
  },
  summarise: {
    title: "Summarise a conversation",
    description: "Sums up a conversation: what was asked, done and decided, and what is open",
    arguments: [{ name: "conversation", description: "the conversation's id", required: true }],
    text: summarise,
  },
};

/** All prompts as `prompts/list` returns them. */
export const promptList = Object.entries(prompts).map(([name, { title, description, arguments: args }]) => ({
  name,
  title,
  description,
  arguments: args,
}));

const getParams = z.looseObject({
  name: z.string("should be the name of a prompt"),
  arguments: z.record(z.string(), z.string("should be a text"), "should be an object of texts").optional(),
});

/** A prompt's message. Throws a `ProtocolError` for an unknown prompt, and for arguments that are missing or wrong. */
export async function getPrompt(params: unknown, store: Store, signal: AbortSignal) {
  const { name, arguments: args = {} } = paramsOf(getParams, params);
  const prompt = Object.hasOwn(prompts, name) ? prompts[name] : undefined;
  if (!prompt) {
    const known = Object.keys(prompts).join(", ");
    throw protocolError(INVALID_PARAMS, `there is no prompt ${JSON.stringify(name)}; there are: ${known}`);
  }
  for (const { name: wanted, required } of prompt.arguments) {
    if (required && !args[wanted]?.trim())
      throw protocolError(INVALID_PARAMS, `params.arguments.${wanted} is missing; it should be a text`);
  }
  const text = await prompt.text(args, store, signal);
  return { description: prompt.description, messages: [{ role: "user", content: { type: "text", text } }] };
}

async function recall({ topic = "" }: Arguments, store: Store, signal: AbortSignal): Promise<string> {
  const { results, total } = await store.search.find({ query: topic, limit: RECALLED, offset: 0 }, signal);
  const task = `Tell me what was said and done earlier about: ${topic}`;
  const how =
    "Use dewey_search for more, and dewey_get_conversation (conversation_id, after_turn) to read around a hit. " +
    "Say when each thing was said, and in which conversation; say so when nothing was found.";
  const hits = results.map(
    (hit) =>
      `## conversation ${hit.conversation_id}, turn ${hit.turn} · ${hit.role} · ${hit.created_at}\n\n${hit.snippet}`,
  );
  const found = hits.length === 0 ? "A search for these words found nothing." : `The best ${hits.length} of ${total}:`;
  return [task, how, found, ...(hits.length === 0 ? [] : [QUOTATION, ...hits])].join("\n\n");
}

async function goOn({ folder = "" }: Arguments, store: Store): Promise<string> {
  const then =
    "Read the end of the latest with dewey_get_conversation, tell me in a few sentences where that work stands, " +
    "then go on with its next step.";
  const given = folder.trim();
  if (given === "") {
    return (
      "Continue the last work in the folder that we are in. dewey_last_sessions with this folder tells where its last " +
      `sessions ended. ${then}`
    );
  }
  const digest = await lastDigest(store, { folder: given });
  if (digest === undefined)
    return `No session of a person was held in ${oneLine(given)}. Look for earlier work with dewey_search.`;
  return [`Continue the last work in ${oneLine(given)}. ${then}`, digest].join("\n\n");
}

async function summarise({ conversation = "" }: Arguments, store: Store): Promise<string> {
  const id = conversation.trim();
  const page = await store.messages.page({ conversation_id: conversationId(id) });
  const more =
    page.next_after_turn === undefined
      ? ""
      : ` Its first turns follow; read the rest with dewey_get_conversation (conversation_id ${id}, after_turn ${page.next_after_turn}).`;
  return [
    `Summarise this conversation: what was asked, what was done, what was decided, and what is open.${more}`,
    conversationText(page, titleOf({ ...page, id })),
  ].join("\n\n");
}

function conversationId(text: string): string {
  if (UUID_PATTERN.test(text)) return text;
  throw protocolError(INVALID_PARAMS, "params.arguments.conversation should be a conversation's id, a UUID");
}
