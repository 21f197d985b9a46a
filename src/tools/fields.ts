import { z } from "zod";
import { beginningOf, boundAt, boundOf, endOf, isRelative } from "../moment.ts";
import type { Bound } from "../moment.ts";
import { MAX_QUERY_WORDS, hasMoreWords } from "../store/search/query.ts";

/** Longest key by which callers group, name or correlate; longer keys do not fit into a PostgreSQL index. */
const MAX_KEY_CHARACTERS = 500;
/** Deepest nesting of metadata, because PostgreSQL's JSON parser recurses. Real metadata is far below it. */
const MAX_METADATA_DEPTH = 100;
/** Values of a filter on metadata: each is looked up in an index. */
const MAX_FILTER_VALUES = 100;
/** Largest page of any list. */
const MAX_LIMIT = 100;
const DEFAULT_LIMIT = 20;

const DATE_RULE =
  "should be a time such as 3d, 2w, yesterday, 2026-01-31 or 2026-01-31T12:00:00Z (ISO 8601, UTC without a time zone)";

const roles = ["user", "assistant", "system", "tool"] as const;

export const UUID_PATTERN = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** A field whose name alone says what it is has no description. */
function described<Type extends z.ZodType>(type: Type, what: string | undefined): Type {
  return what === undefined ? type : type.describe(what);
}

/**
 * Rows that another tool's schema shows already, or nearly so: `tools/list` names them by `what` instead of showing them again.
 * Replies are checked against the type all the same.
 */
export function shownBy<Type extends z.ZodType>(type: Type, what: string): Type {
  return type.meta({ [SHOWN_BY]: what });
}
/** The key under which a schema carries that. */
export const SHOWN_BY = "shownBy";

export const uuid = (what?: string) => described(z.string().regex(UUID_PATTERN, "should be a UUID"), what);

/** A short text that is compared and indexed, so PostgreSQL must be able to store it unchanged. */
export const key = (what?: string) =>
  described(
    z
      .string()
      .min(1, "should not be empty")
      .max(MAX_KEY_CHARACTERS, `should have at most ${MAX_KEY_CHARACTERS} characters`)
      .refine(isStorable, "should not contain U+0000 or lone surrogates"),
    what,
  );

export const content = (what?: string) => described(z.string().min(1, "should not be empty"), what);

/** What a search looks for. */
export const searchQuery = z
  .string()
  .refine((text) => !hasMoreWords(text, MAX_QUERY_WORDS), `should have at most ${MAX_QUERY_WORDS} words`)
  .refine(isStorable, "should not contain U+0000 or lone surrogates")
  .describe("plain words; folder:x, since:3d … may stand among them");

/** A text of any length that PostgreSQL must be able to store unchanged. */
export const plainContent = (what: string) =>
  content(what).refine(isStorable, "should not contain U+0000 or lone surrogates");

export const role = z.enum(roles, `should be one of ${roles.join(", ")}`);

/** Any object, taken as it is: zod's own takes 10 µs for each key, and drops one named `__proto__`. */
export const anyObject = (message: string) =>
  z
    .custom<Record<string, unknown>>(
      (value) => typeof value === "object" && value !== null && !Array.isArray(value),
      message,
    )
    .meta({ type: "object", additionalProperties: {} });

export const metadata = (what?: string) =>
  described(
    anyObject("should be an object").refine((value) => depth(value, MAX_METADATA_DEPTH) <= MAX_METADATA_DEPTH, {
      message: `should not be nested deeper than ${MAX_METADATA_DEPTH} levels`,
    }),
    what,
  );

/** Metadata that others must contain. */
export const metadataFilter = (what: string) =>
  metadata(what).refine((value) => !hasMoreThan(value, MAX_FILTER_VALUES), {
    message: `should hold at most ${MAX_FILTER_VALUES} values`,
  });

/** A time in ISO 8601; UTC when it names no time zone. */
export const moment = (what?: string) =>
  described(
    z
      .string()
      .refine(
        (text) => parseMoment(text) !== undefined,
        "should be an ISO 8601 date and time such as 2026-01-31T12:00:00Z",
      )
      .transform((text) => new Date(parseMoment(text) ?? 0).toISOString()),
    what,
  );

/** The start of a period; a day begins at midnight in UTC. */
export const startDate = bound(beginningOf);

/** The end of a period; a day includes all of it in UTC. Parsed to the first moment after the period. */
const endDate = bound(endOf);

function bound(read: typeof beginningOf) {
  return z
    .string()
    .refine((text) => boundOf(text, read, "utc") !== undefined, DATE_RULE)
    .transform((text) => boundOf(text, read, "utc"));
}

export const BEGINS_AFTER_ITS_END = { path: ["start_date"], message: "should not be after end_date" };

export function beginsBeforeItEnds(input: { start_date?: Bound | undefined; end_date?: Bound | undefined }): boolean {
  const now = new Date();
  const [start, end] = [boundAt(input.start_date, now), boundAt(input.end_date, now)];
  return start === undefined || end === undefined || start < end;
}

/** What lists and searches narrow by; only one of the tools describes each. */
function narrowingBy(
  what: Partial<Record<"client" | "folder" | "title" | "kind" | "errors" | "start" | "end", string>>,
) {
  return {
    session_id: key().optional(),
    client: key(what.client).optional(),
    folder: key(what.folder).optional(),
    upstream: key().optional(),
    branch: key().optional(),
    title: key(what.title).optional(),
    tool: key().optional(),
    kind: key(what.kind).optional(),
    errors: described(z.boolean(), what.errors).optional(),
    start_date: described(startDate, what.start).optional(),
    end_date: described(endDate, what.end).optional(),
  };
}

export const narrowing = narrowingBy({
  client: "such as codex",
  folder: "with those below it: a path, or a folder's name",
  title: "words of it",
  kind: "such as prompt, tool_use",
  errors: "only failed calls",
  start: "from then on: 3d, yesterday, or ISO 8601, in UTC",
  end: "up to then",
});
export const narrowingAsInSearch = narrowingBy({});

export const limit = z
  .int("should be a whole number")
  .min(1, `should be from 1 to ${MAX_LIMIT}`)
  .max(MAX_LIMIT, `should be from 1 to ${MAX_LIMIT}`)
  .default(DEFAULT_LIMIT);

export const offset = z
  .int("should be a whole number")
  .min(0, "should be 0 or more")
  .max(2_147_483_647, "should be at most 2147483647")
  .default(0);

/** The position of a list's next page. */
export const cursor = z
  .string()
  .min(1, "should not be empty")
  .optional()
  .describe("next_cursor, other arguments unchanged");

/** A count or a position, up to PostgreSQL's largest integer. */
export const whole = (least: number, what?: string) =>
  described(
    z
      .int("should be a whole number")
      .min(least, `should be ${least} or more`)
      .max(2_147_483_647, "should be at most 2147483647"),
    what,
  );

/** Messages named at once; importers of longer lists call again. */
const MAX_MESSAGE_IDS = 10_000;

export const messageIds = (what: string) =>
  z
    .array(uuid(), "should be a list of ids")
    .max(MAX_MESSAGE_IDS, `should contain at most ${MAX_MESSAGE_IDS} ids`)
    .describe(what);

/** For recorders, whose messages may arrive after the conversation was deleted. */
export const followToTrash = z.boolean().optional().describe("store into the trash too");

/** Fields of replies follow. */
/** ISO 8601 in UTC. */
export const time = z.string();
/** Number of all results, on all pages. */
export const total = z.int();
/** There are more than total, which is counted only up to 10,000; in a search among long texts, up to 1,000. */
export const totalIsLowerBound = z.literal(true).optional();
/** Present when there is more: the cursor of the next page. */
export const nextCursor = z.string().optional();
/** When nothing was found: the filters that nothing meets, and names that there are. */
export const unmatched = z
  .array(
    shownBy(
      z.object({ filter: z.string(), value: z.string(), known: z.array(z.string()).optional() }),
      "filter, value, known",
    ),
  )
  .optional();
/** Values of a facet, the commonest first. */
export const facetValues = z.array(z.object({ value: z.string(), count: z.int() }));
export const anyMetadata = z.record(z.string(), z.unknown()).nullable();
/** Size of metadata that was left out as too large for the reply. */
export const metadataBytes = z.int().optional();
/** The full length in characters, present when content is cut. */
export const contentLength = z.int().optional();

/** Such as prompt, answer, thinking, tool_use or tool_result. */
export const messageKind = z.string().optional();
/** Whether a message is on a branch that the conversation has left. */
export const abandoned = z.literal(true).optional();

/** Annotations for each kind of tool. Dewey's tools access nothing but its own store. */
export const reads = {
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
} as const;
export const adds = {
  readOnlyHint: false,
  destructiveHint: false,
  idempotentHint: false,
  openWorldHint: false,
} as const;
export const changes = {
  readOnlyHint: false,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
} as const;
export const destroys = {
  readOnlyHint: false,
  destructiveHint: true,
  idempotentHint: true,
  openWorldHint: false,
} as const;

/** Milliseconds since 1970; undefined for an invalid text, and for days that do not exist, such as 30 February. */
function parseMoment(text: string): number | undefined {
  return isRelative(text) ? undefined : beginningOf(text, new Date(), "utc")?.getTime();
}

/** Whether there are more values than this in an object and all within it. Looks at no more than one beyond. */
function hasMoreThan(value: unknown, most: number): boolean {
  let count = 0;
  const isOver = (each: unknown): boolean => {
    if (each === null || typeof each !== "object") return false;
    for (const name in each) {
      count += 1;
      if (count > most || isOver((each as Record<string, unknown>)[name])) return true;
    }
    return false;
  };
  return isOver(value);
}

function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes("\0");
}

/** Depth of nesting; counts no further than one beyond `most`. */
function depth(value: unknown, most: number): number {
  if (value === null || typeof value !== "object") return 0;
  if (most === 0) return 1;
  let deepest = 0;
  for (const each of Object.values(value)) deepest = Math.max(deepest, depth(each, most - 1));
  return deepest + 1;
}

/** How a tool's calls went. */
export const toolStats = z.object({
  tool: z.string(),
  calls: z.int(),
  errors: z.int(),
  p50_ms: z.number().nullable(),
  p95_ms: z.number().nullable(),
});
