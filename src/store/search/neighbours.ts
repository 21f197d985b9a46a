import type { SQL } from "bun";
import type { Filter } from "./filter.ts";
import type { FoundTurn } from "./first-pass.ts";
import { MOST_NEAR_BYTES, REACH, byConversation } from "./relevance.ts";
import type { QueryWords, Turn } from "./relevance.ts";
import { ASKS, ROW, frequenciesOf, labelWords } from "./turn-columns.ts";

/** Reads the turns near the best that are no hits of these blocks themselves, but for long ones, which lend no weight. */
export function neighboursOf(sql: SQL, hits: FoundTurn[], words: QueryWords, { known }: Filter): Promise<Turn[]> {
  const runs = placesNear(hits).flatMap(({ conversation, turns }) =>
    runsOf(turns).map((run) => ({ conversation, ...run })),
  );
  if (runs.length === 0) return Promise.resolve([]);
  return sql.unsafe(
    `select m.id, m.conversation, m.turn, m.time, m.bytes, m.role, m.asks, m.label, m.frequencies, false as is_hit
    from unnest($1::uuid[], $2::integer[], $3::integer[]) as near (conversation, first, last) cross join lateral (
      select m.id, m.conversation_id as conversation, m.turn_number as turn,
        extract(epoch from m.created_at)::float8 as time, m.bytes, m.role, ${ASKS} as asks, ${labelWords(words)} as label,
        array[${frequenciesOf(words).join(", ")}]::float8[] as frequencies
      from (
        select ${ROW} from messages m where m.conversation_id = near.conversation
          and m.turn_number between near.first and near.last
          and octet_length(m.content) <= ${MOST_NEAR_BYTES} and ${known} offset 0
      ) as m offset 0
    ) as m`,
    [
      sql.array(
        runs.map(({ conversation }) => conversation),
        "UUID",
      ),
      sql.array(
        runs.map(({ first }) => first),
        "INTEGER",
      ),
      sql.array(
        runs.map(({ last }) => last),
        "INTEGER",
      ),
    ],
  );
}

/** The hits of a block, and the turns near its best. What is a hit of another block only lends weight here. */
export function withWindows(block: FoundTurn[], turns: ReadonlyMap<string, ReadonlyMap<number, Turn>>): Turn[] {
  const others = placesNear(block).flatMap(({ conversation, turns: near }) => {
    const known = turns.get(conversation);
    return [...near].flatMap((turn) => known?.get(turn) ?? []);
  });
  const lending = others.filter(({ bytes }) => bytes <= MOST_NEAR_BYTES);
  return [...block, ...lending.map((turn) => ({ ...turn, is_hit: false }))];
}

/** The places near the best of some hits at which there is none of these, by conversation. */
function placesNear(hits: FoundTurn[]): { conversation: string; turns: Set<number> }[] {
  return Array.from(byConversation(hits), ([conversation, own]) => {
    const turns = new Set<number>();
    for (const { turn, is_best } of own.values())
      if (is_best)
        for (let other = turn - REACH; other <= turn + REACH; other += 1) if (!own.has(other)) turns.add(other);
    return { conversation, turns };
  });
}

/** Turn numbers that follow each other, as one run each. */
function runsOf(turns: ReadonlySet<number>): { first: number; last: number }[] {
  const runs: { first: number; last: number }[] = [];
  for (const turn of [...turns].toSorted((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run?.last === turn - 1) run.last = turn;
    else runs.push({ first: turn, last: turn });
  }
  return runs;
}
