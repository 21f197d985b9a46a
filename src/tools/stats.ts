import { z } from "zod";
import { reads, shownBy } from "./fields.ts";
import { defineTool } from "./tool.ts";

/** A leap year: fits in a reply, and is more than a terminal's line shows. */
const MAX_DAYS = 366;

export const stats = defineTool({
  name: "dewey_stats",
  title: "Show statistics",
  description:
    "Counts conversations and messages; for the last days the messages of each day, and for each recorded tool its calls, errors, " +
    "and the median (p50) and 95th percentile (p95) of their durations.",
  input: z.strictObject({
    days: z
      .int("should be a whole number")
      .min(1, `should be from 1 to ${MAX_DAYS}`)
      .max(MAX_DAYS, `should be from 1 to ${MAX_DAYS}`)
      .default(30)
      .describe("number of days, including today"),
    time_zone: z
      .string()
      .refine(isTimeZone, "should be a time zone such as Europe/Berlin")
      .default("UTC")
      .describe("the time zone in which days begin"),
  }),
  output: z.object({
    conversations: z.int(),
    in_trash: z.int(),
    messages: z.int(),
    database_bytes: z.int(),
    days: z.array(z.object({ day: z.string(), messages: z.int() })),
    tools: z.array(
      shownBy(
        z.object({
          tool: z.string(),
          calls: z.int(),
          errors: z.int(),
          p50_ms: z.number().nullable(),
          p95_ms: z.number().nullable(),
        }),
        "tool, calls, errors, p50_ms, p95_ms",
      ),
    ),
  }),
  annotations: reads,
  handle: (store, input) => store.stats.read(input),
});

/** Whether it is a name from the time zone database. PostgreSQL reads offsets such as +02:00 with the opposite sign. */
function isTimeZone(name: string): boolean {
  try {
    return /^[A-Za-z]/.test(name) && new Intl.DateTimeFormat("en", { timeZone: name }).format() !== "";
  } catch {
    return false;
  }
}
