import type { Json } from "../wire/frame.ts";
import { stated } from "./captured.ts";
import type { CapturedContext } from "./captured.ts";
import { EXPORT_HEADER } from "./dewey.ts";

/** A conversation as the server tells it, without its messages. */
interface ExportedConversation {
  conversation_id: string;
  session_id: string | null;
  created_at: string;
  metadata: Json | null;
}

interface ExportedMessage {
  id: string;
  turn: number;
  role: string;
  content: string;
  metadata: Json | null;
  created_at: string;
}

/** One way to write conversations, piece by piece, so that nothing is ever held whole. */
export interface ExportFormat {
  begin(): string;
  conversation(conversation: ExportedConversation): string;
  message(conversation: ExportedConversation, message: ExportedMessage): string;
  endConversation(): string;
  end(): string;
}

/**
 * A JSON object a line, with the names that the tools take, so that an import brings back the same ids, times, turns and
 * metadata. What the store says of itself (when a conversation was last changed) is no part of it.
 */
export const jsonl: ExportFormat = {
  begin: () => `${EXPORT_HEADER}\n`,
  conversation: ({ conversation_id, session_id, created_at, metadata }) =>
    line({
      type: "conversation",
      conversation_id,
      ...(session_id === null ? {} : { session_id }),
      created_at,
      metadata,
    }),
  message: ({ conversation_id }, { id, turn, role, content, metadata, created_at }) =>
    line({ type: "message", conversation_id, message_id: id, turn_number: turn, role, content, created_at, metadata }),
  endConversation: () => "",
  end: () => "",
};

/** What is no part of a conversation, in JSON lines only: an import stores it with the tools of the same fields. */
export function contextLine({ name, content, is_active }: CapturedContext): string {
  return line({ type: "startup_context", name, content, is_active });
}

/** @see contextLine */
export function resultLine({ id, ...fields }: { id: string }): string {
  return line({ type: "orchestration_result", result_id: id, ...stated(fields) });
}

/** For reading, and for other programs that take Markdown: a message a section, what tools say in fences. */
export const markdown: ExportFormat = {
  begin: () => "",
  conversation: (conversation) =>
    [
      `# ${titleOf(conversation)}`,
      "",
      ...factsOf(conversation).map(([name, value]) => `- ${name}: ${value}`),
      "",
      "",
    ].join("\n"),
  message: (_, message) => {
    const body = isTool(message) ? fenced(message.content) : message.content;
    return `## ${message.turn} · ${headOf(message)}\n\n${body.trimEnd()}\n\n`;
  },
  endConversation: () => "",
  end: () => "",
};

/**
 * One page that needs nothing else. What was recorded may hold anything: raw HTML in it stays text, and the page's own
 * policy lets no script run and nothing be loaded.
 */
export const html: ExportFormat = {
  begin: () =>
    [
      "<!doctype html>",
      '<html lang="en"><head><meta charset="utf-8"><title>Dewey</title>',
      `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
      '<meta name="viewport" content="width=device-width">',
      `<style>${STYLE}</style></head><body>`,
      "",
    ].join("\n"),
  conversation: (conversation) => {
    const facts = factsOf(conversation).map(([name, value]) => `<dt>${escaped(name)}</dt><dd>${escaped(value)}</dd>`);
    const id = escaped(conversation.conversation_id);
    return `<article id="${id}"><h1>${escaped(titleOf(conversation))}</h1><dl>${facts.join("")}</dl>\n`;
  },
  message: (_, message) => {
    const head = escaped(`${message.turn} · ${headOf(message)}`);
    const kind = /^\w+$/.test(message.role) ? message.role : "other";
    if (!isTool(message) && message.role !== "system") {
      const body = Bun.markdown.html(message.content, { noHtmlBlocks: true, noHtmlSpans: true });
      return `<section class="${kind}"><h2>${head}</h2>${body}</section>\n`;
    }
    return `<details class="${kind}"><summary>${head}</summary><pre>${escaped(message.content)}</pre></details>\n`;
  },
  endConversation: () => "</article>\n",
  end: () => "</body></html>\n",
};

const STYLE = [
  "body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}",
  "h1{font-size:1.5rem}h2,summary{font-size:.85rem;font-weight:600;opacity:.7}dl{display:grid;grid-template-columns:max-content 1fr;gap:0 1rem;font-size:.85rem}",
  "dd{margin:0}section,details{margin:1rem 0;padding:.25rem 1rem;border-left:3px solid #8888}.user{border-color:#36c}pre{overflow:auto;white-space:pre-wrap}",
].join("");

function line(value: Json): string {
  return `${JSON.stringify(value)}\n`;
}

function isTool(message: ExportedMessage): boolean {
  return message.role === "tool" || typeof message.metadata?.["tool"] === "string";
}

function titleOf({ conversation_id, metadata }: ExportedConversation): string {
  const title = metadata?.["title"];
  return oneLine(typeof title === "string" && title !== "" ? title : `Conversation ${conversation_id}`);
}

function factsOf({ conversation_id, session_id, created_at, metadata }: ExportedConversation): [string, string][] {
  const facts: [string, unknown][] = [
    ["id", conversation_id],
    ["session", session_id],
    ["begun", created_at],
    ...["source", "cwd", "branch", "client_name", "client_version", "upstream"].map((name): [string, unknown] => [
      name,
      metadata?.[name],
    ]),
  ];
  return facts.flatMap(([name, value]): [string, string][] =>
    typeof value === "string" ? [[name, oneLine(value)]] : [],
  );
}

function headOf({ role, created_at, metadata }: ExportedMessage): string {
  const { tool, outcome, duration_ms: durationMs } = metadata ?? {};
  const facts = [role, tool, outcome, typeof durationMs === "number" ? `${durationMs} ms` : undefined, created_at];
  return facts.flatMap((fact) => (typeof fact === "string" ? [oneLine(fact)] : [])).join(" · ");
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}

/** A fence longer than any in the text. */
function fenced(text: string): string {
  const longest = Math.max(2, ...Array.from(text.matchAll(/`+/g), ([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}\n${text.trimEnd()}\n${fence}`;
}

function escaped(text: string): string {
  return Bun.escapeHTML(text);
}
