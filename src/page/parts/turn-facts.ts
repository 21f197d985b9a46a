import { visible } from "../../visible.ts";
import type { Message, SearchHit } from "../client/replies.ts";
import { ansiRuns, hasAnsi } from "./ansi.ts";

/** How a turn is shown. */
type TurnForm = "prompt" | "answer" | "thinking" | "tool" | "result" | "note";

/** What the head of a turn says. */
export interface TurnFacts {
  form: TurnForm;
  /** Who or what speaks. */
  who: string;
  isFolded: boolean;
  isFailed: boolean;
  durationMs: number | undefined;
  marks: string[];
}

/** What a message is, by its kind and role and by what the recorder and the importers note of it. */
export function about(message: Message): TurnFacts {
  const { metadata, abandoned, bookkeeping } = message;
  const form = formOf(message);
  const duration = metadata?.["duration_ms"];
  return {
    form,
    who: nameOf(form, message),
    isFolded: form !== "prompt" && form !== "answer",
    isFailed: metadata?.["outcome"] === "error",
    durationMs: typeof duration === "number" ? duration : undefined,
    marks: [...(abandoned ? ["abandoned"] : []), ...(bookkeeping ? ["bookkeeping"] : [])],
  };
}

/** What a hit is: the name that its turn has. */
export function hitName(hit: SearchHit): string {
  return nameOf(formOf(hit), hit);
}

type Kinds = Pick<Message, "kind" | "role" | "metadata">;

function formOf({ kind, role, metadata }: Kinds): TurnForm {
  if (kind === "thinking" || kind === "reasoning") return "thinking";
  if (kind === "tool_result" || role === "tool") return "result";
  if (kind === "tool_use") return "tool";
  // The recorder names no kind: a call's answer, in the role of who gave it, has an outcome.
  if (typeof metadata?.["tool"] === "string") return typeof metadata["outcome"] === "string" ? "result" : "tool";
  if (role === "system") return "note";
  return role === "user" ? "prompt" : "answer";
}

function nameOf(form: TurnForm, { kind, metadata }: Kinds): string {
  const tool = metadata?.["tool"];
  const toolName = typeof tool === "string" ? plainTool(tool) : undefined;
  switch (form) {
    case "prompt":
      return "You";
    case "answer":
      return "Answer";
    case "thinking":
      return "Thinking";
    case "tool":
      return toolName ?? "Call";
    case "result":
      return toolName === undefined ? "Result" : `${toolName} result`;
    case "note":
      return visible(kind?.replaceAll(/[-_]+/g, " ") ?? "Note");
  }
}

/** `server · tool` for the names that clients give to MCP's tools. */
export function plainTool(tool: string): string {
  const parts = /^mcp__(.{1,80}?)__(.+)$/.exec(tool);
  return visible(parts ? `${parts[1]} · ${parts[2]}` : tool);
}

/** The height of a turn that nothing is known of yet, and of one that is folded to a line. */
const UNKNOWN_HEIGHT_PX = 56;
const FOLDED_HEIGHT_PX = 36;
/** Of any other: of its head and space, of a line, and the characters in it. */
const HEAD_HEIGHT_PX = 56;
const LINE_HEIGHT_PX = 22;
const LINE_CHARACTERS = 90;
/** A turn that is higher fills the window anyway. */
const MOST_LINES = 60;

/** About how high a turn is drawn, so that a list that is opened draws no more rows than a window holds. */
export function usualHeight(message: Message | undefined): number {
  if (message === undefined) return UNKNOWN_HEIGHT_PX;
  if (about(message).isFolded) return FOLDED_HEIGHT_PX;
  const lines = Math.ceil(message.content.length / LINE_CHARACTERS);
  return HEAD_HEIGHT_PX + LINE_HEIGHT_PX * Math.min(MOST_LINES, lines);
}

/** Characters of a folded turn that are looked at. */
const SUMMARY_CHARACTERS = 300;

/** The arguments that say most about a call, best first. */
const TELLING = [
  "description",
  "command",
  "cmd",
  "file_path",
  "path",
  "pattern",
  "query",
  "url",
  "prompt",
  "title",
  "name",
];

/** What a folded turn says in one line: of a call its most telling argument, of anything else its beginning. */
export function summary(message: Message): string {
  if (formOf(message) === "tool") return callSummary(message);
  const text = message.content.slice(0, SUMMARY_CHARACTERS);
  const plain = hasAnsi(text)
    ? ansiRuns(text)
        .map((run) => run.text)
        .join("")
    : text;
  return visible(plain.replaceAll(/\s+/g, " ").trim());
}

function callSummary({ content, metadata }: Message): string {
  const given = metadata?.["arguments"];
  const named = typeof given === "object" && given !== null ? (given as Record<string, unknown>) : {};
  const name = TELLING.find((each) => typeof named[each] === "string" && named[each] !== "");
  const [, first = ""] = content.slice(0, SUMMARY_CHARACTERS).split("\n");
  const told = name === undefined ? first : named[name];
  return visible(String(told).replaceAll(/\s+/g, " ").trim()).slice(0, SUMMARY_CHARACTERS);
}
