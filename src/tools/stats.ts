import { z } from "zod";
import { reads } from "./fields.ts";
import { defineTool } from "./tool.ts";

/** A year and a day: what fits in a reply, and more than a line of a terminal shows. */
const MAX_DAYS = 366;

export const stats = defineTool({
  name: "dewey_stats",
  title: "Count what is kept",
  description:
    "Counts conversations and messages; of the last days it tells how many messages each has, and for each tool that was " +
    "recorded its calls, errors, and how long half of them (p50) and 95 of 100 (p95) took at most.",
  input: z.strictObject({
    days: z
      .int("should be a whole number")
      .min(1, `should be from 1 to ${MAX_DAYS}`)
      .max(MAX_DAYS, `should be from 1 to ${MAX_DAYS}`)
      .default(30)
      .describe("how many days back, with today"),
    time_zone: z
      .string()
      .refine(isTimeZone, "should be a time zone such as Europe/Berlin")
      .default("UTC")
      .describe("where the days begin"),
  }),
  output: z.object({
    conversations: z.int(),
    in_trash: z.int(),
    messages: z.int(),
    database_bytes: z.int(),
    days: z.array(z.object({ day: z.string(), messages: z.int() })),
    tools: z.array(
      z.object({
        tool: z.string(),
        calls: z.int(),
        errors: z.int(),
        p50_ms: z.number().nullable(),
        p95_ms: z.number().nullable(),
      }),
    ),
  }),
  annotations: reads,
  handle: (store, input) => store.stats.read(input),
});

/** A name from the time zone database; offsets such as +02:00 mean the contrary to PostgreSQL. */
function isTimeZone(name: string): boolean {
  try {
    return /^[A-Za-z]/.test(name) && new Intl.DateTimeFormat("en", { timeZone: name }).format() !== "";
  } catch {
    return false;
  }
}
