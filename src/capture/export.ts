import type { Json } from "../wire/frame.ts";
import { stated } from "./captured.ts";
import type { CapturedContext } from "./captured.ts";
import { EXPORT_HEADER } from "./dewey.ts";
import { safeHtml } from "./safe-html.ts";
import { escapedJson, oneLine, visible } from "../visible.ts";

/** A conversation as the server tells it, without its messages. */
interface ExportedConversation {
  conversation_id: string;
  session_id: string | null;
  created_at: string;
  metadata: Json | null;
  title: string | null;
  title_source: string | null;
  client: string | null;
  folder: string | null;
  starred: boolean;
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
  conversation: ({ conversation_id, session_id, created_at, metadata, title, title_source, starred }) =>
    line({
      type: "conversation",
      conversation_id,
      ...(session_id === null ? {} : { session_id }),
      created_at,
      metadata,
      // A title by calls is computed from these.
      ...(title === null || title_source === "calls" ? {} : { title, title_source }),
      ...(starred ? { starred } : {}),
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

/**
 * For reading, and for other programs that take Markdown: a message a section, its text quoted and what tools say in fences.
 * Every stored line stands behind `>`, so that none can pass for a heading of the export, whatever it holds.
 */
export const markdown: ExportFormat = {
  begin: () => "",
  conversation: (conversation) =>
    [
      `# ${inline(titleOf(conversation))}`,
      "",
      ...factsOf(conversation).map(([name, value]) => `- ${name}: ${inline(value)}`),
      "",
      "",
    ].join("\n"),
  message: (_, message) => {
    const text = visible(message.content).trimEnd();
    return `## ${message.turn} · ${inline(headOf(message))}\n\n${quoted(isTool(message) ? fenced(text) : text.replaceAll(UNRULY_HTML, "&lt;"))}\n\n`;
  },
  endConversation: () => "",
  end: () => "",
};

/**
 * One page that needs nothing else. Stored text may hold anything: raw HTML in it stays text, and the page's own policy lets
 * no script run and nothing be loaded. A turn's heading stands outside the frame around its text.
 */
export const html: ExportFormat = {
  begin: () =>
    [
      "<!doctype html>",
      '<html lang="en"><head><meta charset="utf-8"><title>Dewey</title>',
      `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">`,
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
    const text = visible(message.content);
    if (!isTool(message) && message.role !== "system") {
      const shown = text.length > MAX_FORMATTED_CHARACTERS ? `<pre>${escaped(text)}</pre>` : safeHtml(text);
      return `<section class="${kind}"><h2>${head}</h2><div class="stored">${shown}</div></section>\n`;
    }
    return `<details class="${kind}"><summary>${head}</summary><pre class="stored">${escaped(text)}</pre></details>\n`;
  },
  endConversation: () => "</article>\n",
  end: () => "</body></html>\n",
};

/** Longer texts are shown as they are: a server that shares one holds everybody up while Markdown is read. */
const MAX_FORMATTED_CHARACTERS = 1_000_000;

const STYLE = [
  "body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}",
  "h1{font-size:1.5rem}h2,summary{font-size:.85rem;font-weight:600;opacity:.7}dl{display:grid;grid-template-columns:max-content 1fr;gap:0 1rem;font-size:.85rem}",
  "dd{margin:0}section,details{margin:1rem 0}.stored{margin:.25rem 0;padding:.25rem 1rem;border-left:3px solid #8888}.user .stored{border-color:#36c}pre{overflow:auto;white-space:pre-wrap}",
  ".stored :is(h3,h4,h5,h6){font-size:1rem;opacity:1}",
].join("");

function line(value: Json): string {
  return `${escapedJson(JSON.stringify(value))}\n`;
}

function isTool(message: ExportedMessage): boolean {
  return message.role === "tool" || typeof message.metadata?.["tool"] === "string";
}

function titleOf({ conversation_id, title }: ExportedConversation): string {
  return oneLine(title ?? `Conversation ${conversation_id}`);
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

/** A line of plain text in Markdown: nothing in it becomes a link, an image, code or HTML. */
function inline(line: string): string {
  return line.replaceAll(/[\\`[\]<]|&(?=[#a-z])/gi, String.raw`\$&`);
}

/** HTML that would end the quote around it, swallow what follows it, or draw a heading of its own. */
const UNRULY_HTML =
  /<(?=[!?]|\/?(?:h[1-6]|blockquote|body|html|script|style|textarea|title|xmp|plaintext|noscript|iframe|template|svg|math)\b)/gi;

/** A block quote, which no line of the text can leave. */
function quoted(text: string): string {
  return text
    .split("\n")
    .map((each) => (each === "" ? ">" : `> ${each}`))
    .join("\n");
}

/** A fence longer than any in the text. */
function fenced(text: string): string {
  let longest = 2;
  for (const [run] of text.matchAll(/`+/g)) longest = Math.max(longest, run.length);
  const fence = "`".repeat(longest + 1);
  return `${fence}\n${text}\n${fence}`;
}

function escaped(text: string): string {
  return Bun.escapeHTML(text);
}
