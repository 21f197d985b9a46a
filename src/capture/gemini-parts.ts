import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { isText, readable } from "./blocks.ts";
import type { Captured } from "./captured.ts";
import { objectsOf, idOf } from "./talk.ts";
import type { Piece, Talk } from "./talk.ts";

// The parts of which Gemini's API makes a message, as Gemini CLI and Qwen Code write them down.

/** The pieces of a message by the model: thoughts, answers, calls, and results of tools that the provider ran. */
export function modelParts(talk: Talk, content: unknown, piece: Piece): Captured[] {
  const captured: Captured[] = [];
  let texts: unknown[] = [];
  const name = (index: number) => (piece.name === undefined ? undefined : `${piece.name} ${index}`);
  const parts = partsOf(content);
  const close = (index: number) => {
    if (texts.length > 0) captured.push(talk.answer(joined(texts), { ...piece, name: name(index - texts.length) }));
    texts = [];
  };
  for (const [index, part] of parts.entries()) {
    const isPlain = part["thought"] !== true && !isObject(part["functionCall"]) && !isObject(part["functionResponse"]);
    if (isPlain) {
      if (part["text"] !== "") texts.push(blockOf(part));
      else close(index);
      continue;
    }
    close(index);
    captured.push(callOrThought(talk, part, { ...piece, name: name(index) }));
  }
  close(parts.length);
  return captured;
}

function callOrThought(talk: Talk, part: Json, piece: Piece): Captured {
  const { functionCall: call, functionResponse: response } = part;
  if (isObject(call)) return talk.call(String(call["name"]), idOf(call["id"]), call["args"] ?? {}, piece);
  if (isObject(response)) return responseOf(talk, response, piece);
  return talk.thinking(isText(part["text"]) ? part["text"] : "", piece);
}

/** The pieces of a message to the model: a prompt with its pictures, and results of tools. */
export function userParts(talk: Talk, content: unknown, piece: Piece): Captured[] {
  const parts = partsOf(content);
  const results = parts.flatMap((part, index) => {
    const response = part["functionResponse"];
    if (!isObject(response)) return [];
    const name = piece.name === undefined ? undefined : `${piece.name} ${index}`;
    return [responseOf(talk, response, { ...piece, name })];
  });
  const said = parts.filter((part) => !isObject(part["functionResponse"])).map(blockOf);
  if (said.length === 0 || (results.length > 0 && readable(said) === "")) return results;
  return [...results, talk.prompt(said, piece)];
}

/** A tool's result in the form that Gemini's API has for it. */
function responseOf(talk: Talk, given: Json, piece: Piece): Captured {
  const { content, isError } = responseContent(given);
  return talk.result(idOf(given["id"]), content, isError, {
    ...piece,
    tool: isText(given["name"]) ? given["name"] : undefined,
  });
}

/** The output of a function's response as it came, and whether it is an error. */
export function responseContent(given: Json): { content: unknown[]; isError: boolean } {
  const { response, parts } = given;
  const media = partsOf(parts).map(blockOf);
  if (!isObject(response))
    return { content: [...(response === undefined ? [] : [response]), ...media], isError: false };
  const { output, error } = response;
  if (error !== undefined && output === undefined) return { content: [error, ...media], isError: true };
  const only = Object.keys(response).length === 1 && output !== undefined;
  return { content: [only ? output : response, ...media].flat(), isError: false };
}

function partsOf(content: unknown): Json[] {
  if (typeof content === "string") return [{ text: content }];
  if (isObject(content)) return [content];
  if (!Array.isArray(content)) return [];
  return content.flatMap((part: unknown) => (typeof part === "string" ? [{ text: part }] : objectsOf([part])));
}

/** A part as a block with a type, as all other sources have them. */
function blockOf(part: Json): unknown {
  const { text, inlineData, fileData } = part;
  if (typeof text === "string") return { type: "text", text };
  if (isObject(inlineData)) return { type: "image", ...inlineData };
  if (isObject(fileData)) return { type: "file", ...fileData };
  return { type: Object.keys(part)[0] ?? "part", ...part };
}

/** Texts that came in pieces are one text. */
function joined(blocks: unknown[]): unknown[] {
  const texts = blocks.map((block) => (isObject(block) && block["type"] === "text" ? block["text"] : undefined));
  return texts.every(isText) ? [{ type: "text", text: texts.join("") }] : blocks;
}
