import { DeweyError } from "../../errors.ts";
import type { SearchReply } from "../../store/search/search.ts";
import { choiceFlag, clientCommand, jsonText, limitFlag, textFlag, wantedOperands } from "../client-command.ts";
import type { Talk } from "../client-command.ts";
import { about } from "../conversation.ts";
import { conversationIdOf } from "../conversation-id.ts";
import { folderFlag } from "../folder-flag.ts";
import { MOMENT_FORMS, sinceMoment, untilMoment } from "../moment.ts";
import { pages } from "../pages.ts";
import type { Terminal } from "../terminal.ts";
import { counted, localTime } from "../terminal.ts";
import { oneLine, visible } from "../../visible.ts";

const DEFAULT_LIMIT = 10;

/** The flags that set fields of the tool. */
const filters = {
  folder: { field: "folder", value: "F", summary: "only this folder and those below it: a path, or a name" },
  client: { field: "client", value: "C", summary: "only conversations held with this program, such as codex" },
  session: { field: "session_id", value: "S", summary: "only conversations with this session_id" },
  conversation: { field: "conversation_id", value: "ID", summary: "only this conversation" },
  role: { field: "role", value: "ROLE", summary: "only messages of this role: user, assistant, system or tool" },
  source: { field: "source", value: "NAME", summary: "only messages of this source, such as proxy" },
  tool: { field: "tool", value: "NAME", summary: "only recorded calls of this tool and their results" },
  since: { field: "start_date", value: "DATE", summary: `only messages since then: ${MOMENT_FORMS}` },
  until: { field: "end_date", value: "DATE", summary: "only messages until then, in the same forms" },
} as const;

const ROLES = ["user", "assistant", "system", "tool"] as const;

/** How the values that people write become the tool's. */
const readings: Record<string, (text: string, talk: Talk) => string | Promise<string>> = {
  folder: folderFlag,
  conversation: (text, talk) => conversationIdOf(talk, text),
  since: (text) => sinceMoment("--since", text),
  until: (text) => untilMoment("--until", text),
};

export const search = clientCommand({
  name: "search",
  summary: "searches all messages, best match first",
  usage: ["dewey search [flags] WORD … [-UNWANTED]"],
  about: `Any of the words may match, and rare ones weigh more; '"a phrase"' must occur, -word must not, and 'word*' may go on.`,
  examples: ["dewey search backoff -retry --since 3d", "dewey search --folder dewey --role user flaky test"],
  dashedOperands: true,
  flags: {
    ...filters,
    bookkeeping: { summary: "also what programs noted for themselves" },
    metadata: { value: "JSON", summary: "only messages whose metadata contains this object" },
    limit: { value: "N", summary: `maximum number of messages (default ${DEFAULT_LIMIT})` },
  },
  operands: Infinity,
  paged: true,
  async work(talk) {
    const { call, out, terminal, json, invocation } = talk;
    const query = wantedOperands({ name: "search" }, invocation, "words to search for").join(" ");
    choiceFlag(search, invocation, "role", ROLES);
    const given: [string, string][] = [];
    for (const [flag, { field }] of Object.entries(filters)) {
      const text = textFlag(invocation, flag);
      if (text !== undefined) given.push([field, (await readings[flag]?.(text, talk)) ?? text]);
    }
    const metadata = textFlag(invocation, "metadata");
    const args = {
      query,
      ...Object.fromEntries(given),
      ...(invocation.flags["bookkeeping"] === true ? { bookkeeping: true } : {}),
      ...(metadata === undefined ? {} : { metadata: parsedObject(metadata) }),
    };
    const flags = Object.fromEntries(Object.entries(filters).map(([flag, { field }]) => [`--${flag}`, field]));
    const limit = limitFlag({ name: "search" }, invocation) ?? DEFAULT_LIMIT;
    const reply = await pages(limit, "results", (page) =>
      call<SearchReply>("dewey_search", { ...args, ...page }, { ...flags, "--metadata": "metadata" }),
    );
    if (json) return out.write(jsonText(reply));
    for (const { from, to } of reply.corrected ?? []) await out.write(`${correction(from, to, terminal)}\n\n`);
    for (const hit of reply.results) await out.write(drawn(hit, terminal));
    const more = reply.total_is_lower_bound ? "more than " : "";
    const told = reply.results.reduce((sum, { repeated }) => sum + (repeated?.times ?? 1), 0);
    const shown = told < reply.total ? `${told} of ${more}` : "";
    await out.write(terminal.paint("quiet", `${shown}${counted(reply.total, "match", "matches")}\n`));
  },
});

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
function drawn(hit: Hit, terminal: Terminal): string {
  const { paint } = terminal;
  const place = about(hit);
  const head = [
    paint("name", oneLine(hit.role)),
    localTime(hit.created_at),
    ...(hit.abandoned ? ["abandoned"] : []),
    ...(hit.repeated ? [`said ${hit.repeated.times} times`] : []),
    ...(place === "" ? [] : [place]),
  ];
  const where = `dewey show ${hit.conversation_id} --turn ${hit.turn}`;
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
  const piece = (start: number, end: number) => visible(letters.slice(start, end).join(""));
  let lit = "";
  let position = 0;
  for (const [start, end] of matches) {
    if (end > letters.length) break;
    lit += piece(position, start - MARK.length) + terminal.paint("match", piece(start, end));
    position = end + MARK.length;
  }
  return Bun.wrapAnsi(`  ${lit}${piece(position, letters.length)}`, terminal.columns);
}
