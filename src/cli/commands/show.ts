import type { ConversationPage } from "../../store/page.ts";
import { clientCommand, jsonLine, numberFlag, wantedOperands } from "../client-command.ts";
import type { Talk } from "../client-command.ts";
import { usageError } from "../command.ts";
import { about, pagesOf } from "../conversation.ts";
import { conversationIdOf } from "../conversation-id.ts";
import type { Pages } from "../conversation.ts";
import { counted, durationText, localTime } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";
import { oneLine, visible } from "../../visible.ts";

type Message = ConversationPage["messages"][number];

/** Messages per request, so that a long conversation is never held in memory whole. */
const PAGE_MESSAGES = 200;

export const show = clientCommand({
  name: "show",
  summary: "shows a whole conversation in the order of its turns",
  usage: ["dewey show ID [--turn N [--around M] | --after N] [--unfold] [--all] [--json]"],
  examples: ["dewey show last", "dewey show 2 --unfold", "dewey show 3f2a91c4 --turn 40 --around 5"],
  about:
    "Tool calls and their results are folded to one line each. Where a conversation was wound back, the branch that it went on " +
    "with is shown. Markdown is rendered on a terminal, and printed as is elsewhere.",
  flags: {
    turn: { value: "N", summary: "only this turn, unfolded" },
    around: { value: "M", summary: "with --turn: also so many turns before and after it" },
    after: { value: "N", summary: "only the turns after this one" },
    all: { summary: "also abandoned branches, and what programs noted for themselves" },
    unfold: { summary: "show tool calls and their results in full" },
  },
  operands: 1,
  paged: true,
  async work(talk) {
    const { invocation, json } = talk;
    const [given = ""] = wantedOperands(
      show,
      invocation,
      "the id of a conversation; dewey list and dewey search show it",
    );
    const turn = numberFlag(show, invocation, "turn");
    const around = numberFlag(show, invocation, "around");
    const after = numberFlag(show, invocation, "after");
    if (around !== undefined && turn === undefined) throw usageError(show, "takes --around only with --turn");
    if (turn !== undefined && after !== undefined) throw usageError(show, "takes --turn or --after, not both");
    const span = turn !== undefined && around !== undefined ? { first: turn - around, last: turn + around } : undefined;
    const unfold = (turn !== undefined && span === undefined) || invocation.flags["unfold"] === true;
    const everything = invocation.flags["all"] === true ? { everything: true } : {};
    const request = {
      conversation_id: await conversationIdOf(talk, given),
      full: true,
      ...everything,
      ...(turn === undefined || span !== undefined ? { limit: PAGE_MESSAGES } : { turn }),
    };
    const from = span === undefined ? after : Math.max(0, span.first - 1);
    const all = pagesOf(talk, request, from);
    const pages = span === undefined ? all : upTo(all, span.last);
    await (json ? writeJson(talk, pages) : draw(talk, pages, unfold ? "all" : span && turn));
  },
});

/** Writes one JSON object while it is read, with one message per line. */
async function writeJson({ out }: Talk, all: Pages): Promise<void> {
  let separator = "";
  for await (const { messages, next_after_turn: _, ...conversation } of all) {
    if (separator === "") await out.write(`${jsonLine(conversation).slice(0, -1)},"messages":[`);
    for (const message of messages) {
      await out.write(`${separator || "\n"}${jsonLine(message)}`);
      separator = ",\n";
    }
    separator ||= "\n";
  }
  await out.write("\n]}\n");
}

/** The pages as far as a turn. */
async function* upTo(all: Pages, last: number): Pages {
  for await (const page of all) {
    const messages = page.messages.filter((message) => message.turn <= last);
    yield { ...page, messages };
    if (messages.length < page.messages.length) return;
  }
}

/** `unfolded` is the turn whose tool call is shown whole, or all of them. */
async function draw(
  { out, terminal, invocation }: Talk,
  all: Pages,
  unfolded: number | "all" | undefined,
): Promise<void> {
  let begun = false;
  const isWhole = (message: Message) => unfolded === "all" || message.turn === unfolded || !isToolCall(message);
  for await (const page of all) {
    if (!begun) await out.write(beginning(page, terminal, invocation.typed("dewey show")));
    begun = true;
    for (const message of page.messages) {
      await out.write(isWhole(message) ? whole(message, terminal) : folded(message, terminal));
    }
  }
}

/** `show` is the command that shows another conversation. */
function beginning(page: ConversationPage, { paint }: Terminal, show: string): string {
  const { title, ...rest } = page;
  const place = about({ ...rest, title: null });
  const heading = title === null ? `Conversation ${page.conversation_id}` : oneLine(title);
  return [
    paint("heading", `# ${heading}`),
    ...(title === null ? [] : [paint("quiet", page.conversation_id)]),
    ...(place === "" ? [] : [place]),
    paint("quiet", `begun ${localTime(page.created_at)}, last message ${localTime(page.updated_at)}`),
    ...relations(page, show),
    "",
    "",
  ].join("\n");
}

/** The conversations that this one comes from, and those that come from it. */
function relations({ parent_id, forked_from, related = [] }: ConversationPage, show: string): string[] {
  return [
    ...(parent_id === null ? [] : [`sub-agent of ${show} ${parent_id}`]),
    ...(forked_from === null ? [] : [`continues ${show} ${forked_from}`]),
    ...related.map(
      ({ id, relation, title }) => `${relation}: ${show} ${id}${title === null ? "" : `  ${oneLine(title)}`}`,
    ),
  ];
}

/** Whether a message is a tool's call or result, by the metadata of the recorder and the importers. */
function isToolCall({ role, metadata }: Message): boolean {
  return role === "tool" || typeof metadata?.["tool"] === "string";
}

function whole(message: Message, terminal: Terminal): string {
  const head = [`## ${message.turn}`, oneLine(message.role), ...marks(message), ...toolFacts(message)].join(" · ");
  const time = terminal.paint("quiet", localTime(message.created_at, "second"));
  const text = visible(message.content);
  // Tool output is data, which rendering as Markdown would distort.
  const body = isToolCall(message) ? text : terminal.markdown(text);
  const parts = otherParts(message).map((part) => `${terminal.paint("quiet", part)}\n\n`);
  return `${terminal.paint("name", head)}  ${time}\n\n${body.trimEnd()}\n\n${parts.join("")}`;
}

/** The parts of a message that are not text: their types, sizes and hashes. Those that its text tells of are left out. */
function otherParts({ content, metadata }: Message): string[] {
  const { blocks, more_blocks: more } = metadata ?? {};
  if (!Array.isArray(blocks)) return [];
  const lines = blocks.flatMap((block: unknown) => {
    if (block === null || typeof block !== "object") return [];
    const { type, mimeType, name, uri, bytes, sha256 } = block as Record<string, unknown>;
    if (typeof sha256 === "string" && content.includes(sha256)) return [];
    const size = typeof bytes === "number" ? `${bytes} bytes` : undefined;
    const hash = typeof sha256 === "string" ? `sha256 ${sha256.slice(0, SHOWN_HASH_CHARACTERS)}` : undefined;
    const facts = [type, mimeType, name, uri, size, hash].filter((each) => typeof each === "string" && each !== "");
    return facts.length === 0 ? [] : [`[${facts.map((each) => oneLine(String(each))).join(" · ")}]`];
  });
  return typeof more === "number" ? [...lines, `[${counted(more, "more part")}]`] : lines;
}

function folded(message: Message, terminal: Terminal): string {
  const text = visible(Bun.stripANSI(message.content)).trimEnd();
  const lines = text.split("\n").length;
  const facts = [`${message.turn}`, oneLine(message.role), ...toolFacts(message)].join(" · ");
  const parts = otherParts(message).length;
  const more = [...(lines > 1 ? [counted(lines, "line")] : []), ...(parts > 0 ? [counted(parts, "other part")] : [])];
  const rest = more.length > 0 ? ` (${more.join(", ")})` : "";
  const room = Bun.stringWidth(facts) + rest.length + 5;
  const first = terminal.fit(oneLine(withoutName(text, message).slice(0, FOLDED_CHARACTERS)), room);
  return `${terminal.paint("quiet", "▸")} ${terminal.paint("name", facts)}: ${first}${terminal.paint("quiet", rest)}\n\n`;
}

/** The text of a call without the name of its tool, which stands before it already. */
function withoutName(text: string, { metadata }: Message): string {
  const { tool } = metadata ?? {};
  if (typeof tool !== "string" || !text.startsWith(tool)) return text;
  const rest = text.slice(tool.length);
  return /^\s+\S/.test(rest) ? rest.trimStart() : text;
}

/** Of a hash, enough to tell parts apart. */
const SHOWN_HASH_CHARACTERS = 12;
/** Maximum length of a folded text when no terminal limits it. */
const FOLDED_CHARACTERS = 200;

/** What sets a message apart from what is said. */
function marks({ kind, abandoned, bookkeeping }: Message): string[] {
  const isThought = kind === "thinking" || kind === "reasoning";
  return [
    ...(isThought ? ["thinking"] : []),
    ...(abandoned ? ["abandoned"] : []),
    ...(bookkeeping ? ["bookkeeping"] : []),
  ];
}

/** The tool's name, outcome and duration, as far as they are known. */
function toolFacts({ metadata }: Message): string[] {
  const { tool, outcome, duration_ms: durationMs } = metadata ?? {};
  return [
    ...(typeof tool === "string" ? [oneLine(tool)] : []),
    ...(typeof outcome === "string" ? [oneLine(outcome)] : []),
    ...(typeof durationMs === "number" ? [durationText(durationMs)] : []),
  ];
}
