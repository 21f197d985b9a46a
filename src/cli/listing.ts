import type { ConversationList } from "../store/conversations.ts";
import { isId } from "./conversation.ts";
import { ago } from "./moment.ts";
import { counted, cut } from "./terminal.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine } from "../visible.ts";

type Entry = ConversationList["conversations"][number];

/** Shorter titles are hard to tell apart; where a table leaves them less, each entry takes two lines instead. */
const LEAST_TITLE = 40;
/** Longest project where an entry takes two lines, so that the other facts fit at 60 columns. */
const NARROW_PROJECT = 16;
/** Longest title, project and client in the table. The first prompt as a title has about 100 characters. */
const MAX_COLUMNS = { title: 100, project: 24, client: 16 };

/** A list of conversations, numbered from 1. `now` is the time that ages are counted from. */
export function drawnListing(
  entries: Entry[],
  terminal: Terminal,
  timeField: "updated_at" | "created_at",
  now: Date = new Date(),
): string {
  const ids = shortIds(entries.map((each) => each.id));
  const rows = entries.map((entry, index) => ({
    number: `${index + 1}`,
    title: titleOf(entry),
    project: projectOf(entry.folder),
    client: entry.client === null ? "" : oneLine(entry.client),
    when: ago(entry[timeField], now),
    messages: entry.message_count.toLocaleString("en-US"),
    count: entry.message_count,
    id: ids[index] ?? entry.id,
  }));
  return tabled(rows, terminal) ?? stacked(rows, terminal);
}

interface Row {
  number: string;
  title: string;
  project: string;
  client: string;
  when: string;
  messages: string;
  count: number;
  id: string;
}

function stacked(rows: Row[], terminal: Terminal): string {
  const { paint, fit } = terminal;
  const width = rows.at(-1)?.number.length ?? 1;
  return rows
    .map((row) => {
      const title = fit(row.title, width + 2);
      const facts = [cut(row.project, NARROW_PROJECT), row.client, row.when, counted(row.count, "message")];
      const taken = width + 2 + row.id.length + 3;
      // The client is the fact that tells least.
      const isWide = Bun.stringWidth(joined(facts)) + taken <= terminal.columns;
      const line = `${fit(joined(isWide ? facts : facts.toSpliced(1, 1)), taken)} · ${row.id}`;
      return `${paint("quiet", row.number.padStart(width))}  ${paint("heading", title)}\n${" ".repeat(width + 2)}${paint("quiet", line)}\n`;
    })
    .join("");
}

function joined(facts: string[]): string {
  return facts.filter((fact) => fact !== "").join(" · ");
}

/** Undefined where it would leave too little for the titles. */
function tabled(rows: Row[], terminal: Terminal): string | undefined {
  const heading = {
    number: "#",
    title: "TITLE",
    project: "PROJECT",
    client: "CLIENT",
    when: "WHEN",
    messages: "MESSAGES",
  };
  const all = [{ ...heading, id: "ID" }, ...rows];
  const widest = (name: keyof typeof heading, most = Infinity) =>
    Math.min(most, Math.max(...all.map((row) => Bun.stringWidth(row[name]))));
  const widths = {
    number: widest("number"),
    project: widest("project", MAX_COLUMNS.project),
    client: widest("client", MAX_COLUMNS.client),
    when: widest("when"),
    messages: widest("messages"),
  };
  const idWidth = Math.max(...all.map((row) => row.id.length));
  const others = Object.values(widths).reduce((sum, width) => sum + width + 2, idWidth);
  const title = Math.min(widest("title", MAX_COLUMNS.title), terminal.columns - others - 2);
  if (title < Math.min(LEAST_TITLE, widest("title"))) return undefined;
  return all
    .map((row, index) => {
      const cells = [
        row.number.padStart(widths.number),
        cell(row.title, title),
        cell(row.project, widths.project),
        cell(row.client, widths.client),
        cell(row.when, widths.when),
        row.messages.padStart(widths.messages),
        row.id,
      ];
      const line = cells.join("  ").trimEnd();
      return `${index === 0 ? terminal.paint("quiet", line) : line}\n`;
    })
    .join("");
}

/** A text cut and filled to a width. */
function cell(text: string, width: number): string {
  const short = cut(text, width);
  return short + " ".repeat(Math.max(0, width - Bun.stringWidth(short)));
}

/** The title, marked with a star and with its origin; or the caller's key, unless that is an id, which tells nothing. */
export function titleOf({ title, session_id, starred, parent_id, forked_from }: Entry): string {
  const key = session_id === null || isId.test(session_id) ? "(untitled)" : oneLine(session_id);
  const origin = parent_id ? "sub-agent: " : forked_from ? "fork: " : "";
  return `${starred ? "★ " : ""}${origin}${title === null ? key : oneLine(title)}`;
}

/** The last name of a folder's path. */
function projectOf(folder: string | null): string {
  const names = (folder ?? "").split(/[/\\]/).filter((name) => name !== "");
  return oneLine(names.at(-1) ?? folder ?? "");
}

/** Random ids differ in their first digits, but those of version 7 begin with their time in milliseconds. */
const SHORT_ID_CHARACTERS = 8;
const SHORT_TIMED_ID_CHARACTERS = 13;

/** The beginning of an id that most likely no other shares. */
function shortId(id: string): string {
  return id.slice(0, id[14] === "7" ? SHORT_TIMED_ID_CHARACTERS : SHORT_ID_CHARACTERS);
}

/** The short ids; whole where another of the list begins the same. */
export function shortIds(ids: string[]): string[] {
  const counts = new Map<string, number>();
  for (const id of ids) counts.set(shortId(id), (counts.get(shortId(id)) ?? 0) + 1);
  return ids.map((id) => (counts.get(shortId(id)) === 1 ? shortId(id) : id));
}
