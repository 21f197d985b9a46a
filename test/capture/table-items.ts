import type { Json } from "../../src/wire/frame.ts";

// What files of agents hold, counted from their JSON alone and not by the readers that the table judges.

/** The columns of the table. */
export const columns = ["prompts", "answers", "thinking", "calls", "results", "images", "branches"] as const;
export type Column = (typeof columns)[number];

/** One thing that a file holds. An image and a branch have no words. */
export interface Item {
  column: Column;
  text: string;
}

/** The forms in which agents write; each file of a fixture is of one. */
export type Form =
  | "claude-code"
  | "codex"
  | "gemini"
  | "pi"
  | "opencode"
  | "chatgpt"
  | "claude-export"
  | "qwen"
  | "blocks";

type Value = unknown;
const object = (value: Value): Json => (typeof value === "object" && value !== null ? (value as Json) : {});
const list = (value: Value): Value[] => (Array.isArray(value) ? value : []);
const item = (column: Column, text: Value): Item[] =>
  typeof text === "string" && (text.trim() !== "" || column === "images") ? [{ column, text }] : [];

/** The longest text in a value: arguments of a call, or what a tool returned. */
function longestText(value: Value): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null) return undefined;
  const texts = Object.values(value).flatMap((each) => longestText(each) ?? []);
  return texts.toSorted((a, b) => b.length - a.length)[0];
}

/** Blocks as the models' APIs have them, said by a person or by the model. */
function blocks(content: Value, isPerson: boolean): Item[] {
  if (typeof content === "string") return item(isPerson ? "prompts" : "answers", content);
  return list(content).flatMap((value) => {
    const block = object(value);
    const type = String(block["type"]);
    if (/^(?:text|input_text|output_text)$/.test(type)) return item(isPerson ? "prompts" : "answers", block["text"]);
    if (type === "thinking") return item("thinking", block["thinking"]);
    if (type === "tool_use") return item("calls", longestText(block["input"]));
    if (type === "toolCall") return item("calls", longestText(block["arguments"]));
    if (/image/.test(type)) return [{ column: "images" as const, text: "" }];
    if (type !== "tool_result") return [];
    return results(block["content"]);
  });
}

function results(content: Value): Item[] {
  if (typeof content === "string") return item("results", content);
  const parts = list(content).map(object);
  const text = parts.map((part) => part["text"]).find((each) => typeof each === "string");
  const images = parts.filter((part) => /image/.test(String(part["type"])));
  return [...item("results", text), ...images.map(() => ({ column: "images" as const, text: "" }))];
}

/** Prompts beside another under one parent: the earlier one was left. */
function leftBranches(rows: Json[], parent: string, isPrompt: (row: Json) => boolean): Item[] {
  const seen = new Set<unknown>();
  return rows.filter(isPrompt).flatMap((row) => {
    const above = row[parent];
    if (typeof above !== "string") return [];
    if (seen.has(above)) return [{ column: "branches" as const, text: "" }];
    seen.add(above);
    return [];
  });
}

const isTyped = (row: Json) =>
  row["type"] === "user" && blocks(object(row["message"])["content"], true).some(({ column }) => column === "prompts");

/** Rows that were written twice count once. */
function once(rows: Json[]): Json[] {
  const seen = new Set<unknown>();
  return rows.filter(({ uuid }) => typeof uuid !== "string" || (!seen.has(uuid) && seen.add(uuid)));
}

const readers: Record<Form, (rows: Json[]) => Item[]> = {
  "claude-code": (given) => {
    const rows = once(given);
    return [
      ...rows.flatMap(({ type, message }) =>
        type === "user" || type === "assistant" ? blocks(object(message)["content"], type === "user") : [],
      ),
      ...leftBranches(rows, "parentUuid", isTyped),
    ];
  },
  codex: (rows) =>
    rows.flatMap((row) => {
      const payload = "payload" in row ? object(row["payload"]) : row;
      if ("payload" in row && row["type"] !== "response_item") return [];
      const type = String(payload["type"]);
      if (type === "message" || payload["type"] === undefined)
        return blocks(payload["content"], payload["role"] !== "assistant");
      if (type === "reasoning") return item("thinking", object(list(payload["summary"])[0])["text"]);
      if (type.endsWith("_call"))
        return item("calls", firstArgument(payload["arguments"] ?? payload["input"] ?? payload["action"]));
      return type.endsWith("_call_output") ? outputs(payload["output"]) : [];
    }),
  gemini: (rows) =>
    rows.flatMap(({ messages }) =>
      list(messages).flatMap((value) => {
        const message = object(value);
        const calls = list(message["toolCalls"]).map(object);
        const response = (call: Json) => object(object(list(call["result"])[0])["functionResponse"])["response"];
        return [
          ...blocks(message["content"], message["type"] === "user"),
          ...list(message["thoughts"]).flatMap((thought) => item("thinking", object(thought)["description"])),
          ...calls.flatMap((call) => item("calls", longestText(call["args"]))),
          ...calls.flatMap((call) => item("results", longestText(response(call)))),
        ];
      }),
    ),
  pi: (rows) =>
    rows.flatMap(({ message }) => {
      const { role, content } = object(message);
      return role === "toolResult" ? results(content) : blocks(content, role === "user");
    }),
  opencode: (rows) =>
    rows.flatMap((row) => {
      const { type, text, state } = row;
      const tool = object(state);
      if (type === "reasoning") return item("thinking", text);
      if (type === "tool") return [...item("calls", longestText(tool["input"])), ...item("results", tool["output"])];
      return type === "text" ? item("prompts", text) : [];
    }),
  chatgpt: (rows) =>
    rows.flatMap(({ mapping, current_node }) => {
      const nodes = Object.values(object(mapping)).map(object);
      const current = new Set<unknown>();
      for (let id: Value = current_node; typeof id === "string"; id = object(object(mapping)[id])["parent"])
        current.add(id);
      return nodes.flatMap((node) => {
        const message = object(node["message"]);
        const role = object(message["author"])["role"];
        const content = object(message["content"]);
        const said = list(content["parts"]);
        const column = role === "user" ? "prompts" : role === "tool" ? "results" : "answers";
        return [
          ...said.flatMap((part) => {
            if (typeof part === "string") return item(column, part);
            const isImage = object(part)["content_type"] === "image_asset_pointer";
            return isImage ? [{ column: "images" as const, text: "" }] : item(column, object(part)["text"]);
          }),
          ...list(content["thoughts"]).flatMap((thought) => item("thinking", object(thought)["content"])),
          ...(said.length > 0 && current.size > 0 && !current.has(node["id"])
            ? [{ column: "branches" as const, text: "" }]
            : []),
        ];
      });
    }),
  "claude-export": (rows) =>
    rows.flatMap(({ chat_messages }) =>
      list(chat_messages).flatMap((value) => blocks(object(value)["content"], object(value)["sender"] === "human")),
    ),
  qwen: (rows) =>
    rows.flatMap(({ type, message }) =>
      list(object(message)["parts"]).flatMap((value) => {
        const part = object(value);
        const [call, response] = [object(part["functionCall"]), object(part["functionResponse"])];
        if ("functionCall" in part) return item("calls", longestText(call["args"]));
        if ("functionResponse" in part) return item("results", longestText(response["response"]));
        if (part["thought"] === true) return item("thinking", part["text"]);
        return item(type === "user" ? "prompts" : "answers", part["text"]);
      }),
    ),
  blocks: (rows) =>
    rows.flatMap((row) => {
      const messages = Array.isArray(row["messages"]) ? row["messages"].map(object) : [row];
      return messages.flatMap(({ role, content, text }) => blocks(content ?? text, role === "user"));
    }),
};

function firstArgument(value: Value): string | undefined {
  try {
    return longestText(typeof value === "string" ? JSON.parse(value) : value);
  } catch {
    return longestText(value);
  }
}

function outputs(output: Value): Item[] {
  if (Array.isArray(output)) return results(output);
  return item("results", typeof output === "string" ? output : longestText(output));
}

/** What a file holds. Lines that are no JSON hold nothing. */
export function itemsIn(form: Form, text: string): Item[] {
  return readers[form](rowsIn(text).map(object));
}

function rowsIn(text: string): unknown[] {
  try {
    const whole: unknown = JSON.parse(text);
    return Array.isArray(whole) ? whole : [whole];
  } catch {
    return text.split("\n").flatMap((line) => {
      try {
        return [JSON.parse(line) as unknown];
      } catch {
        return [];
      }
    });
  }
}
