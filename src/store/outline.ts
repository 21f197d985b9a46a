import type { SQL } from "bun";
import { ROW_OVERHEAD_BYTES } from "./reply.ts";

/** Characters of a prompt that an outline shows: a line of a page. */
const SHOWN_CHARACTERS = 120;
/** The most bytes that a prompt takes in an outline: a character may take four, and its time and turn the rest. */
const PROMPT_BYTES = SHOWN_CHARACTERS * 4 + ROW_OVERHEAD_BYTES / 2;
/** The most bytes of a pair of turn numbers. */
const RANGE_BYTES = 25;

/** The beginning of a prompt. */
interface OutlinePrompt {
  turn: number;
  text: string;
  created_at: string;
}

/** What a reader needs to show any part of a long conversation: where it is, without its messages. */
export interface Outline {
  /** The first and last turns of each stretch without gaps. */
  turns: [first: number, last: number][];
  prompts: OutlinePrompt[];
  /** The `after_turn` of the next part; absent on the last one. */
  next_after_turn?: number;
}

/**
 * The outline of a conversation after a turn, as far as the budget reaches. `shown` is the condition for the messages of
 * which the conversation consists.
 */
export async function readOutline(
  sql: SQL,
  { conversation_id, after_turn }: { conversation_id: string; after_turn: number },
  shown: SQL.Query<unknown>,
  budgetBytes: number,
): Promise<Outline> {
  const mostPrompts = Math.floor(budgetBytes / 2 / PROMPT_BYTES);
  const mostRanges = Math.floor(budgetBytes / 2 / RANGE_BYTES);
  const wanted = sql`conversation_id = ${conversation_id} and turn_number > ${after_turn} and ${shown}`;
  const prompts: { turn: number; text: string; created_at: Date }[] = await sql`
    select turn_number as turn, left(content, ${SHOWN_CHARACTERS}::integer) as text, created_at
    from messages where ${wanted} and role = 'user' and (kind is null or kind = 'prompt')
    order by turn_number limit ${mostPrompts + 1}`;
  const ranges: { first: number; last: number }[] = await sql`
    select min(turn_number) as first, max(turn_number) as last from (
      select turn_number, turn_number - row_number() over (order by turn_number) as stretch from messages where ${wanted}
    ) as numbered group by stretch order by first limit ${mostRanges + 1}`;
  const end = Math.min(
    endOf(ranges, mostRanges, ({ first }) => first),
    endOf(prompts, mostPrompts, ({ turn }) => turn),
  );
  return {
    turns: ranges
      .filter(({ first }) => first <= end)
      .map(({ first, last }): [number, number] => [first, Math.min(last, end)]),
    prompts: prompts
      .filter(({ turn }) => turn <= end)
      .map((row) => ({ ...row, created_at: row.created_at.toISOString() })),
    ...(Number.isFinite(end) ? { next_after_turn: end } : {}),
  };
}

/** The last turn that is read whole: the one before the first row too many. */
function endOf<Row>(rows: Row[], most: number, turnOf: (row: Row) => number): number {
  const beyond = rows[most];
  return beyond === undefined ? Infinity : turnOf(beyond) - 1;
}
