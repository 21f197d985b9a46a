import { z } from "zod";
import { MS_PER_DAY } from "../units.ts";

/** Longest key by which callers group, name or correlate; longer ones do not fit an index of PostgreSQL's. */
const MAX_KEY_CHARACTERS = 500;
/** Deepest nesting of metadata: PostgreSQL's parser recurses, and no honest metadata comes near. */
const MAX_METADATA_DEPTH = 100;
/** Largest page of any list. */
const MAX_LIMIT = 100;
const DEFAULT_LIMIT = 20;

const roles = ["user", "assistant", "system", "tool"] as const;

export const uuid = (what: string) =>
  z
    .string()
    .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, "should be a UUID")
    .describe(what);

/** A short text that is compared and indexed: PostgreSQL must be able to hold it as it is. */
export const key = (what: string) =>
  z
    .string()
    .min(1, "should not be empty")
    .max(MAX_KEY_CHARACTERS, `should have at most ${MAX_KEY_CHARACTERS} characters`)
    .refine(isStorable, "should not hold U+0000 or lone surrogates")
    .describe(what);

export const content = (what: string) => z.string().min(1, "should not be empty").describe(what);

/** A text that may be long, and that PostgreSQL must be able to hold as it is. */
export const plainContent = (what: string) =>
  content(what).refine(isStorable, "should not hold U+0000 or lone surrogates");

export const role = z.enum(roles, `should be one of ${roles.join(", ")}`);

export const metadata = (what: string) =>
  z
    .record(z.string(), z.unknown(), "should be an object")
    .refine((value) => depth(value, MAX_METADATA_DEPTH) <= MAX_METADATA_DEPTH, {
      message: `should not be nested deeper than ${MAX_METADATA_DEPTH} levels`,
    })
    .describe(what);

/** A moment: ISO 8601 with a time zone, or UTC when it has none. */
export const moment = (what: string) =>
  z
    .string()
    .refine(
      (text) => parseMoment(text) !== undefined,
      "should be an ISO 8601 date and time such as 2026-01-31T12:00:00Z",
    )
    .transform((text) => new Date(parseMoment(text) ?? 0).toISOString())
    .describe(what);

/** The beginning of a period; a date alone means its first moment in UTC. */
export const startDate = z
  .string()
  .refine((text) => parseMoment(text) !== undefined, dateRule())
  .transform((text) => new Date(parseMoment(text) ?? 0))
  .describe("only what was said at this time or later: ISO 8601; a date alone means from its beginning, in UTC");

/** The end of a period; a date alone means the whole day in UTC. The output is the first moment after the period. */
export const endDate = z
  .string()
  .refine((text) => parseMoment(text) !== undefined, dateRule())
  .transform((text) => new Date((parseMoment(text) ?? 0) + (isDateAlone(text) ? MS_PER_DAY : 1)))
  .describe("only what was said at this time or earlier: ISO 8601; a date alone means to its end, in UTC");

export const limit = z
  .int("should be a whole number")
  .min(1, `should be from 1 to ${MAX_LIMIT}`)
  .max(MAX_LIMIT, `should be from 1 to ${MAX_LIMIT}`)
  .default(DEFAULT_LIMIT)
  .describe(`how many at most, 1 to ${MAX_LIMIT}`);

export const offset = z
  .int("should be a whole number")
  .min(0, "should be 0 or more")
  .max(2_147_483_647, "should be at most 2147483647")
  .default(0)
  .describe("how many to pass over");

/** Of lists. */
export const cursor = z
  .string()
  .min(1, "should not be empty")
  .optional()
  .describe(
    "next_cursor of the page before, with everything else as it was: quick however deep, and nothing comes twice",
  );

/** A count or a position. PostgreSQL's integer ends at 2147483647. */
export const whole = (least: number, what: string) =>
  z
    .int("should be a whole number")
    .min(least, `should be ${least} or more`)
    .max(2_147_483_647, "should be at most 2147483647")
    .describe(what);

/** For recorders, which bring late what belongs to a conversation. */
export const followToTrash = z.boolean().optional().describe("also when the conversation is in the trash");

/** Of replies. */
export const time = z.string().describe("ISO 8601, UTC");
export const total = z.int().describe("how many there are in all, whatever limit and offset");
export const totalIsLowerBound = z
  .literal(true)
  .optional()
  .describe("there are more than total says: it is counted up to 10,000 only");
export const nextCursor = z.string().optional().describe("there is more: call again with this as cursor");
export const anyMetadata = z.record(z.string(), z.unknown()).nullable();
export const metadataBytes = z
  .int()
  .optional()
  .describe("metadata is left out, being too large for the reply: its size");
export const contentLength = z
  .int()
  .optional()
  .describe("of a content that is not here whole: its length in characters");

/** Annotations of the tools' kinds. Dewey's tools reach nothing but its own store. */
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

function dateRule(): string {
  return "should be an ISO 8601 date such as 2026-01-31, or date and time such as 2026-01-31T12:00:00Z";
}

function isDateAlone(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(text);
}

/** Milliseconds since 1970; undefined for what is no date, also for days that do not exist, such as 30 February. */
function parseMoment(text: string): number | undefined {
  const parts = /^(\d{4}-\d{2}-\d{2})(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$/i.exec(text);
  if (!parts) return undefined;
  const [, day = "", zone] = parts;
  const time = Date.parse(isDateAlone(text) || zone !== undefined ? text : `${text}Z`);
  const midnight = Date.parse(day);
  // JavaScript takes 30 February for 2 March.
  if (Number.isNaN(time) || Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== day)
    return undefined;
  return time;
}

function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes("\0");
}

/** How deep a value is nested; stops counting where it is too deep already. */
function depth(value: unknown, most: number): number {
  if (value === null || typeof value !== "object") return 0;
  if (most === 0) return 1;
  let deepest = 0;
  for (const each of Object.values(value)) deepest = Math.max(deepest, depth(each, most - 1));
  return deepest + 1;
}
