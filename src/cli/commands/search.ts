import { DeweyError } from "../../errors.ts";
import { readFilters } from "../../tools/written-filters.ts";
import type { WrittenFilters } from "../../tools/written-filters.ts";
import type { ConversationList } from "../../store/conversations.ts";
import type { SearchReply } from "../../store/search/search.ts";
import { choiceFlag, clientCommand, jsonText, limitFlag, textFlag } from "../client-command.ts";
import type { Talk } from "../client-command.ts";
import { usageError } from "../command.ts";
import { about } from "../conversation.ts";
import { conversationIdOf } from "../conversation-id.ts";
import {
  NOTHING_YET,
  narrowingFields,
  narrowingFlags,
  narrowingOf,
  narrowingWritten,
  nothingMeets,
} from "../filters.ts";
import { pages } from "../pages.ts";
import type { Terminal } from "../terminal.ts";
import { counted, localTime } from "../terminal.ts";
import { oneLine, visible } from "../../visible.ts";

const DEFAULT_LIMIT = 10;

const MODES = ["words", "meaning", "both"] as const;
const ROLES = ["user", "assistant", "system", "tool"] as const;

export const search = clientCommand({
  name: "search",
  summary: "searches all messages, best match first",
  usage: ["dewey search [flags] [FILTER:VALUE] WORD … [-UNWANTED]"],
  about: [
    `Any of the words may match, and rare ones weigh more; '"a phrase"' must occur, -word must not, and 'word*' may go on.`,
    "Filters may stand among the words: folder:dewey client:codex tool:bash kind:prompt role:user branch:main title:tests",
    "upstream:files since:3d until:yesterday errors: (only failed calls). Without words, the newest messages are shown.",
  ].join(" "),
  examples: [
    "dewey search backoff -retry --since 3d",
    "dewey search folder:dewey role:user flaky test",
    "dewey search tool:bash errors: since:yesterday",
  ],
  dashedOperands: true,
  flags: {
    ...narrowingFlags,
    role: { value: "ROLE", choices: ROLES, summary: "only messages of this role: user, assistant, system or tool" },
    conversation: { value: "ID", summary: "only this conversation" },
    source: { value: "NAME", summary: "only messages of this source, such as proxy" },
    mode: {
      value: "MODE",
      choices: MODES,
      summary: "what finds messages: words, meaning or both (default, where meaning is on)",
    },
    bookkeeping: { summary: "also what programs noted for themselves" },
    metadata: { value: "JSON", summary: "only messages whose metadata contains this object" },
    limit: { value: "N", summary: `maximum number of messages (default ${DEFAULT_LIMIT})` },
  },
  operands: Infinity,
  paged: true,
  async work(talk) {
    const { call, out, terminal, json, invocation } = talk;
    const { words, filters } = readFilters([...invocation.operands, ...(invocation.rest ?? [])].join(" "));
    const [flags, written] = [await given(talk), narrowingWritten(filters)];
    const twice = Object.keys(written).find((field) => field in flags);
    if (twice !== undefined) throw usageError(search, `has ${flagOf(twice)} both as a flag and in the query`);
    const args = { query: words, ...flags, ...written };
    if (words === "" && !Object.keys(args).some((field) => ENOUGH.has(field)))
      throw usageError(search, "needs words to search for, or filters such as --folder or --since");
    const limit = limitFlag(search, invocation) ?? DEFAULT_LIMIT;
    const reply = await pages(limit, "results", (page) =>
      call<SearchReply>("dewey_search", { ...args, ...page }, fieldsAsGiven(filters)),
    );
    if (json) return out.write(jsonText(reply));
    for (const { from, to } of reply.corrected ?? []) await out.write(`${correction(from, to, terminal)}\n\n`);
    if (reply.meaning !== undefined) await out.write(`${terminal.paint("quiet", WORDS_ONLY[reply.meaning])}\n\n`);
    const show = talk.invocation.typed("dewey show");
    for (const hit of reply.results) await out.write(drawn(hit, terminal, show));
    const why = reply.total === 0 ? nothingMeets(reply.unmatched, args, written) : undefined;
    if (why !== undefined) await out.write(`${terminal.prose(why)}\n\n`);
    if (reply.total === 0 && (await isEmpty(talk)))
      return out.write(`${terminal.prose(talk.invocation.typed(NOTHING_YET))}\n`);
    const more = reply.total_is_lower_bound ? "more than " : "";
    const told = reply.results.reduce((sum, { repeated }) => sum + (repeated?.times ?? 1), 0);
    const shown = told < reply.total ? `${told} of ${more}` : "";
    await out.write(terminal.paint("quiet", `${shown}${counted(reply.total, "match", "matches")}\n`));
  },
});

const fieldsOfFlags: Record<string, string> = {
  ...narrowingFields,
  "--role": "role",
  "--mode": "mode",
  "--conversation": "conversation_id",
  "--source": "source",
  "--metadata": "metadata",
};

/** The filters that select messages without any word: those that may stand in a query. */
const ENOUGH = new Set([...Object.values(narrowingFields), "role"].filter((field) => field !== "session_id"));

/** The fields by what a person wrote: a flag, a filter among the words, or the words. */
function fieldsAsGiven(filters: WrittenFilters): Record<string, string> {
  const written = Object.keys(filters).map((name): [string, string] => [
    `${name}:`,
    fieldsOfFlags[`--${name}`] ?? name,
  ]);
  return { ...Object.fromEntries(written), ...fieldsOfFlags, "the query": "query" };
}

async function isEmpty({ call }: Talk): Promise<boolean> {
  return (await call<ConversationList>("dewey_list_conversations", { limit: 1 })).total === 0;
}

function flagOf(field: string): string {
  return Object.keys(fieldsOfFlags).find((flag) => fieldsOfFlags[flag] === field) ?? field;
}

/** The tool's fields for the flags that are given. */
async function given(talk: Talk): Promise<Record<string, unknown>> {
  const { invocation } = talk;
  const role = choiceFlag(search, invocation, "role", ROLES);
  const mode = choiceFlag(search, invocation, "mode", MODES);
  const [conversation, source, metadata] = ["conversation", "source", "metadata"].map((name) =>
    textFlag(invocation, name),
  );
  return {
    ...narrowingOf(invocation),
    ...(role === undefined ? {} : { role }),
    ...(mode === undefined ? {} : { mode }),
    ...(conversation === undefined ? {} : { conversation_id: await conversationIdOf(talk, conversation) }),
    ...(source === undefined ? {} : { source }),
    ...(invocation.flags["bookkeeping"] === true ? { bookkeeping: true } : {}),
    ...(metadata === undefined ? {} : { metadata: parsedObject(metadata) }),
  };
}

const WORDS_ONLY = {
  away: "Found by words only: the embeddings endpoint is away.",
  loading: "Found by words only: the vectors of messages are being read.",
  none: "Found by words only: no message has its vectors yet.",
};

/** Tells which word was searched for instead of one that no message contains. */
function correction(from: string, to: string, { paint }: Terminal): string {
  return `No message contains ${oneLine(from)}; searched for ${paint("match", oneLine(to))}`;
}

function parsedObject(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new DeweyError("invalid", `--metadata should be a JSON object, not ${JSON.stringify(text)}`);
  }
}

type Hit = SearchReply["results"][number];

/** A hit: role, time and conversation, then the words around the match. */
/** `show` is the command that shows a conversation. */
function drawn(hit: Hit, terminal: Terminal, show: string): string {
  const { paint } = terminal;
  const place = about(hit);
  const head = [
    paint("name", oneLine(hit.role)),
    localTime(hit.created_at),
    ...(hit.abandoned ? ["abandoned"] : []),
    ...(hit.found_by === "meaning" ? ["by meaning"] : []),
    ...(hit.repeated ? [`said ${hit.repeated.times} times`] : []),
    ...(place === "" ? [] : [place]),
  ];
  const where = `${show} ${hit.conversation_id} --turn ${hit.turn}`;
  return `${terminal.fit(head.join("  "))}\n${highlighted(hit, terminal)}\n${paint("quiet", where)}\n\n`;
}

/** What stands before and behind a matching word in a snippet. */
const MARK = "**";
/** Several times a snippet: wrapping takes time that grows with the square of a line of spaces and accents. */
const MAX_SNIPPET_CHARACTERS = 2000;

/** The snippet with its matching words in a colour on a terminal, and between asterisks elsewhere. */
function highlighted({ snippet, snippet_matches: matches }: Hit, terminal: Terminal): string {
  if (!terminal.interactive) return `  ${oneLine(snippet.slice(0, MAX_SNIPPET_CHARACTERS))}`;
  const letters = Array.from(snippet).slice(0, MAX_SNIPPET_CHARACTERS);
  const piece = (start: number, end: number) => visible(letters.slice(start, end).join("")).replaceAll(/\s+/g, " ");
  let lit = "";
  let position = 0;
  for (const [start, end] of matches) {
    if (end > letters.length) break;
    lit += piece(position, start - MARK.length) + terminal.paint("match", piece(start, end));
    position = end + MARK.length;
  }
  const text = `${lit}${piece(position, letters.length)}`;
  // Texts without spaces, such as Chinese ones, are broken as well, or the terminal would break them at its edge.
  return Bun.wrapAnsi(text, Math.max(1, terminal.columns - 2), { hard: true }).replaceAll(/^/gm, "  ");
}
