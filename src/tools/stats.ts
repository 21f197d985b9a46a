import { z } from "zod";
import { reads, shownBy, time, toolStats } from "./fields.ts";
import { defineTool } from "./tool.ts";

/** A leap year: fits in a reply, and is more than a terminal's line shows. */
const MAX_DAYS = 366;

export const stats = defineTool({
  name: "dewey_stats",
  title: "Show statistics",
  description:
    "Counts conversations and messages, those of each of the last days, and each recorded tool's calls, errors and durations " +
    "(median and 95th percentile).",
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
      .describe("in which days begin"),
  }),
  output: z.object({
    conversations: z.int(),
    in_trash: z.int(),
    messages: z.int(),
    database_bytes: z.int(),
    days: z.array(
      shownBy(z.object({ day: z.string(), messages: z.int(), conversations: z.int() }), "day, messages, conversations"),
    ),
    tools: z.array(shownBy(toolStats, "tool, calls, errors, p50_ms, p95_ms")),
    sources: z.array(
      shownBy(
        z.object({ source: z.string(), conversations: z.int(), latest: time }),
        "source (proxy: the recorder), conversations, latest",
      ),
    ),
    meaning: shownBy(
      z.object({
        model: z.string(),
        complete: z.boolean(),
        queued: z.int(),
        passages: z.int(),
        endpoint: z.enum(["ok", "away"]),
      }),
      "model, queued",
    ).optional(),
  }),
  annotations: reads,
  async handle(store, input) {
    const counted = await store.stats.read(input);
    const meaning = store.meaning?.state();
    if (!meaning) return counted;
    const { model, complete, queued, passages, endpoint } = meaning;
    return { ...counted, meaning: { model, complete, queued, passages, endpoint } };
  },
});

/** Whether it is a name from the time zone database. PostgreSQL reads offsets such as +02:00 with the opposite sign. */
function isTimeZone(name: string): boolean {
  try {
    return /^[A-Za-z]/.test(name) && new Intl.DateTimeFormat("en", { timeZone: name }).format() !== "";
  } catch {
    return false;
  }
}
