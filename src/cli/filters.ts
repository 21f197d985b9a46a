import type { Unmatched } from "../store/narrowing.ts";
import { MOMENT_FORMS } from "../moment.ts";
import type { WrittenFilters } from "../tools/written-filters.ts";
import { textFlag } from "./client-command.ts";
import type { Flag, Invocation } from "./command.ts";
import { folderFlag } from "./folder-flag.ts";
import { sinceMoment, untilMoment } from "./moment.ts";
import { nearest } from "../nearest.ts";
import { localTime } from "./terminal.ts";
import { oneLine } from "../visible.ts";

/** A flag that sets a field of the tool. */
interface FilterFlag extends Flag {
  field: string;
}

/** What lists and searches narrow by. */
export const narrowingFlags = {
  folder: { field: "folder", value: "F", summary: "only this folder and those below it: a path, or a name" },
  client: { field: "client", value: "C", summary: "only conversations held with this program, such as codex" },
  since: { field: "start_date", value: "T", summary: `only what was said since then: ${MOMENT_FORMS}` },
  until: { field: "end_date", value: "T", summary: "only what was said until then, in the same forms" },
  title: { field: "title", value: "WORDS", summary: "only conversations with these words in the title" },
  tool: { field: "tool", value: "NAME", summary: "only calls of this tool and their results, such as bash" },
  errors: { field: "errors", summary: "only calls that failed" },
  kind: { field: "kind", value: "KIND", summary: "only messages of this kind, such as prompt, answer or tool_use" },
  branch: { field: "branch", value: "B", summary: "only conversations on this branch of version control" },
  upstream: { field: "upstream", value: "NAME", summary: "only calls to this server behind the proxy" },
  session: { field: "session_id", value: "S", summary: "only conversations with this session_id" },
} as const satisfies Record<string, FilterFlag>;

/** How the values that people write become the tool's. `name` is how the filter was written, for errors. */
const readings: Record<string, (text: string, name: string) => string> = {
  folder: folderFlag,
  since: (text, name) => sinceMoment(name, text),
  until: (text, name) => untilMoment(name, text),
};

/** The tool's fields for the flags that are given. */
export function narrowingOf(invocation: Invocation): Record<string, unknown> {
  const fields = Object.entries(narrowingFlags).flatMap(([name, { field }]): [string, unknown][] => {
    if (invocation.flags[name] === true) return [[field, true]];
    const text = textFlag(invocation, name);
    return text === undefined ? [] : [[field, readings[name]?.(text, `--${name}`) ?? text]];
  });
  return Object.fromEntries(fields);
}

/** The tool's fields for the filters that stand in a query: a person's days, and folders from here. */
export function narrowingWritten(filters: WrittenFilters): Record<string, unknown> {
  const fields = Object.entries(filters).map(([name, given]): [string, unknown] => {
    const field = name in narrowingFlags ? narrowingFlags[name as keyof typeof narrowingFlags].field : name;
    return [field, typeof given === "string" ? (readings[name]?.(given, `${name}:`) ?? given) : given];
  });
  return Object.fromEntries(fields);
}

/** For a store without any conversation. */
export const NOTHING_YET =
  "There are no conversations yet. To bring in earlier ones: dewey import; to keep new ones: dewey connect claude-code";

/** The tool's fields, and the flag that sets each, for errors. */
export const narrowingFields = Object.fromEntries(
  Object.entries(narrowingFlags).map(([flag, { field }]) => [`--${flag}`, field]),
);

/**
 * Says which filters nothing meets, and what could have been meant; or that nothing meets them all. Undefined without filters.
 * `fields` are those that were sent, and `written` those of them that stood in the query.
 */
export function nothingMeets(
  unmatched: Unmatched[] | undefined,
  fields: Record<string, unknown>,
  written: Record<string, unknown> = {},
): string | undefined {
  const names = Object.entries(narrowingFlags).map(([flag, { field }]) => ({ flag, field: field as string }));
  const flagOf = (field: string) => names.find((each) => each.field === field)?.flag ?? field;
  if (unmatched !== undefined && unmatched.length > 0)
    return unmatched
      .map(({ filter, value, known }) => {
        const said = saidTimes[filter]?.(value) ?? oneLine(value);
        const name = flagOf(filter);
        const flag = value === "true" ? `--${name}` : `--${name} ${said}`;
        const what = filter in written ? `${name}:${value === "true" ? "" : said}` : flag;
        return `Nothing is stored with ${what}.${suggestion(value, known)}`;
      })
      .join("\n");
  const given = Object.keys(fields).filter((field) => names.some((each) => each.field === field));
  if (given.length < 2) return undefined;
  return `Each of ${given.map((field) => `--${flagOf(field)}`).join(", ")} finds something, but not all together.`;
}

/** How a person says the limits of a period; the end comes as the first moment after it. */
const saidTimes: Record<string, (iso: string) => string> = {
  start_date: (iso) => localTime(iso),
  end_date: (iso) => localTime(new Date(Date.parse(iso) - 1).toISOString()),
};

function suggestion(value: string, known: string[] | undefined): string {
  if (known === undefined || known.length === 0) return "";
  const meant = nearest(value, known);
  const question = meant === undefined ? "" : ` Did you mean ${oneLine(meant)}?`;
  return `${question} There are: ${known.map(oneLine).join(", ")}.`;
}
