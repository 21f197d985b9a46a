import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { isText, wordsOf } from "./blocks.ts";
import { conversationId, parseRow, timeOf } from "./captured.ts";
import type { Captured } from "./captured.ts";
import type { DatabaseKind } from "./source-kind.ts";
import { Talk, firstText, objectsOf, tokensOf, idOf } from "./talk.ts";
import type { Piece } from "./talk.ts";

const ZED = "zed";

const tokenNames = {
  input: "input_tokens",
  output: "output_tokens",
  cache_read: "cache_read_input_tokens",
  cache_write: "cache_creation_input_tokens",
} as const;

/** Limit on a decompressed thread, which is read into memory as a whole: real ones are megabytes. */
const MAX_THREAD_BYTES = 512 * 1024 * 1024;

/**
 * Reads the threads of Zed's agent (`threads.db`): a row a thread, with everything that was said as JSON, in most of them
 * compressed. Threads have one time, at which they were last changed, and messages have none.
 */
export const zedDatabase: DatabaseKind = {
  name: "Zed",
  where: ({ data }) => data.flatMap((folder) => ["zed", "Zed"].map((name) => join(folder, name, "threads/threads.db"))),
  tables: { threads: ["id", "summary", "updated_at", "data_type", "data"] },
  rows: (database) => database.query("select * from threads order by updated_at, id").iterate(),
  read: (row) => {
    const { id, summary, updated_at, created_at, data_type, data, parent_id, folder_paths } = row as Json;
    const thread = threadOf(data_type, data);
    const talk = new Talk(ZED, String(id));
    const model = isObject(thread["model"]) ? thread["model"]["model"] : undefined;
    const begun = talk.begin({
      title: firstText(summary, thread["title"], thread["summary"]),
      cwd: firstText(isText(folder_paths) ? folder_paths.split("\n")[0] : undefined, folderOf(thread)),
      branch: branchOf(thread),
      model,
      parent: isText(parent_id) ? conversationId(ZED, parent_id) : undefined,
      time: timeOf(created_at) ?? timeOf(updated_at),
      more: usageOf(thread),
    });
    const messages: unknown[] = Array.isArray(thread["messages"]) ? thread["messages"] : [];
    const usages = isObject(thread["request_token_usage"]) ? thread["request_token_usage"] : {};
    const summarized = firstText(thread["detailed_summary"]);
    const summaries = summarized === undefined ? [] : [talk.note("summary", summarized, { bookkeeping: true })];
    return [
      ...begun,
      ...summaries,
      ...messages.flatMap((message, index) => messageOf(talk, message, index, model, usages)),
    ];
  },
};

function threadOf(type: unknown, data: unknown): Json {
  const bytes = data instanceof Uint8Array ? data : Buffer.from(String(data));
  const isCompressed = String(type).toLowerCase() === "zstd";
  const plain = isCompressed ? zstdDecompressSync(bytes, { maxOutputLength: MAX_THREAD_BYTES }) : bytes;
  const parsed = parseRow(Buffer.from(plain).toString());
  if ("broken" in parsed) throw new Error("holds no JSON");
  return parsed.row;
}

/** The tokens of a thread: one number for each kind, in newer threads by the message that asked for them. */
function usageOf(thread: Json): Json {
  const tokens = tokensOf(thread["cumulative_token_usage"], tokenNames);
  return tokens === undefined ? {} : { tokens };
}

function snapshotOf(thread: Json): Json {
  const snapshot = thread["initial_project_snapshot"];
  return (isObject(snapshot) ? objectsOf(snapshot["worktree_snapshots"])[0] : undefined) ?? {};
}

function folderOf(thread: Json): string | undefined {
  return firstText(snapshotOf(thread)["worktree_path"]);
}

function branchOf(thread: Json): unknown {
  const git = snapshotOf(thread)["git_state"];
  return isObject(git) ? git["current_branch"] : undefined;
}

function messageOf(talk: Talk, message: unknown, index: number, model: unknown, usages: Json): Captured[] {
  const given = isObject(message) ? message : {};
  const name = `${index}`;
  if (isObject(given["User"])) {
    const { id, content } = given["User"];
    const blocks = (Array.isArray(content) ? (content as unknown[]) : [content]).map(userBlock);
    const tokens = isText(id) ? tokensOf(usages[id], tokenNames) : undefined;
    return [talk.prompt(blocks, { name: firstText(id) ?? name, tokens })];
  }
  if (isObject(given["Agent"])) return agentMessage(talk, given["Agent"], { name, model });
  if (isText(given["role"])) return oldMessage(talk, given, { name, model });
  return [talk.note(typeof message === "string" ? message.toLowerCase() : "message", wordsOf(given), { name })];
}

function userBlock(block: unknown): unknown {
  if (!isObject(block)) return block;
  const { Text: text, Mention: mention, Image: image } = block;
  if (typeof text === "string") return { type: "text", text };
  if (isObject(mention)) {
    const { uri, content } = mention;
    return { type: "text", text: [mentionOf(uri), content].filter(isText).join("\n") };
  }
  return imageOf(image) ?? { type: "content", ...block };
}

/** The target of a mention: a file, a symbol, a thread, an address. */
function mentionOf(uri: unknown): string {
  if (!isObject(uri)) return isText(uri) ? uri : "";
  const [[kind, about] = []] = Object.entries(uri);
  const facts = isObject(about) ? about : {};
  const place = firstText(facts["abs_path"], facts["url"], facts["name"], facts["path"]);
  return `[${[kind?.toLowerCase(), place].filter(isText).join(" ")}]`;
}

function imageOf(image: unknown): unknown {
  return isObject(image) && isText(image["source"])
    ? { type: "image", media_type: "image/png", data: image["source"] }
    : undefined;
}

function agentMessage(talk: Talk, { content, tool_results }: Json, piece: Piece): Captured[] {
  const results = isObject(tool_results) ? tool_results : {};
  const blocks: unknown[] = Array.isArray(content) ? content : [content];
  return blocks.flatMap((block, index) =>
    agentBlock(talk, block, results, { ...piece, name: `${piece.name} ${index}` }),
  );
}

function agentBlock(talk: Talk, block: unknown, results: Json, piece: Piece): Captured[] {
  const given = isObject(block) ? block : { Text: block };
  const { Text: text, Thinking: thinking, ToolUse: use } = given;
  if (typeof text === "string") return [talk.answer(text, piece)];
  if (isObject(thinking)) return [talk.thinking(firstText(thinking["text"]) ?? "", piece)];
  if ("RedactedThinking" in given) return [talk.thinking("", piece)];
  if (!isObject(use)) return [talk.answer([{ type: "content", ...given }], piece)];
  const callId = idOf(use["id"]);
  const call = talk.call(String(use["name"]), callId, use["input"] ?? use["raw_input"], piece);
  const result = results[callId];
  return isObject(result) ? [call, resultOf(talk, callId, result, piece)] : [call];
}

function resultOf(talk: Talk, callId: string, result: Json, piece: Piece): Captured {
  const { content, output, is_error } = result;
  const blocks = (Array.isArray(content) ? (content as unknown[]) : content === undefined ? [] : [content]).map(
    userBlock,
  );
  const said = blocks.length > 0 ? blocks : output;
  return talk.result(callId, said, is_error === true, { ...piece, row: blocks.length > 0 ? { output } : undefined });
}

/** A message of threads before version 0.3: segments, and the calls and results beside them. */
function oldMessage(talk: Talk, given: Json, piece: Piece): Captured[] {
  const { role, segments, text, tool_uses, tool_results, context, is_hidden } = given;
  const name = (slot: string) => ({
    ...piece,
    name: `${piece.name} ${slot}`,
    bookkeeping: is_hidden === true || undefined,
  });
  const parts = isText(text) ? [{ type: "text", text }] : objectsOf(segments);
  const results = objectsOf(tool_results);
  const said = parts.flatMap((part, index) => {
    const words = firstText(part["text"]) ?? "";
    if (part["type"] === "thinking" || part["type"] === "RedactedThinking")
      return [talk.thinking(words, name(`${index}`))];
    if (words === "") return [];
    return [
      role === "user"
        ? talk.prompt(words, name(`${index}`))
        : role === "system"
          ? talk.note("instructions", words, name(`${index}`))
          : talk.answer(words, name(`${index}`)),
    ];
  });
  const calls = objectsOf(tool_uses).map(({ id, name: tool, input }) =>
    talk.call(String(tool), String(id), input, name("call")),
  );
  const answered = results.map((result) => resultOf(talk, String(result["tool_use_id"]), result, name("result")));
  return [...(isText(context) ? [talk.note("context", context, name("context"))] : []), ...said, ...calls, ...answered];
}
