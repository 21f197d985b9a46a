import type { Repetition } from "./repetitions.ts";

/** What finds messages: their words, what they mean, or each of these. */
export type FoundBy = "words" | "meaning" | "both";

/** A message in the order of the hits. */
export interface Ranked {
  id: string;
  score: number;
  /** Share of the query's words that it holds, each weighed by its rarity. */
  held?: number;
  /** What found it, when it was looked for by meaning too. */
  found_by?: FoundBy;
  /** The passage that means the most like the query, when meaning found it; UTF-16 positions. */
  meant?: { start: number; end: number };
  /** When several messages hold its text; it is the newest of them. */
  repeated?: Repetition | undefined;
}
