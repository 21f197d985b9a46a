import type { SQL } from "bun";
import { LONG_BYTES, REACH, ownScoreIn } from "./relevance.ts";
import type { QueryWords, Turn } from "./relevance.ts";
import { REPEATED, REPETITIONS, copiesOf } from "./repetitions.ts";
import type { Copies } from "./repetitions.ts";
import { ASKS, ROW, frequenciesOf, labelWords, placesOf } from "./turn-columns.ts";

/** The hits of some blocks, and how many messages were ranked in all. */
export interface FirstPass {
  hits: FoundTurn[];
  ranked: number;
}

/** A hit as the statement returns it. */
export interface FoundTurn extends Turn {
  /** Block, in the candidates' order by their own words, that it belongs to. */
  block: number;
  /** Whether it is one of the block's candidates. The others are near one of these. */
  is_best: boolean;
  /** Where the words stand in a long candidate, as `tsvectorsend` writes it. */
  places: Uint8Array | null;
  /** Number of hits in the blocks before. */
  passed: number;
  /** All repetitions, in one row. */
  copies: Copies[] | null;
}

/** The messages that are ranked. */
export interface Candidates {
  /** Selects columns of them, with the filter's values. */
  chosen: (columns: string) => string;
  /** Selects the best section of each message that has any, as `best`. */
  sections: string | undefined;
}

/**
 * Orders the candidates by their own words, in one statement, and returns the hits of the blocks that a page lies in.
 */
export async function firstPass(
  sql: SQL,
  words: QueryWords,
  candidates: Candidates,
  page: { offset: number; limit: number },
  { blockSize, values }: { blockSize: number; values: unknown[] },
): Promise<FirstPass> {
  const rows: (FoundTurn & { ranked: number })[] = await sql.unsafe(
    hitsStatement(words, candidates, page, blockSize),
    values,
  );
  return { hits: rows.filter(({ id }) => id !== null), ranked: rows[0]?.ranked ?? 0 };
}

/** Selects the hits of the blocks that a page lies in, with the number of hits before each block. */
function hitsStatement(
  words: QueryWords,
  { chosen, sections }: Candidates,
  { offset, limit }: { offset: number; limit: number },
  blockSize: number,
): string {
  const columns = words.lexemes.map((_, index) => `f${index}`);
  const seen = "id, conversation_id, turn_number, created_at, role, bytes, asks, label";
  return `with ${sections === undefined ? "" : `best as materialized (${sections}), `}scored as (
      select id, conversation_id, turn_number, created_at, role, bytes, ${ASKS} as asks, ${labelWords(words)} as label,
        ${frequenciesOf(words)
          .map((each, index) => `${each} as f${index}`)
          .join(", ")}
      from (${chosen(ROW)} offset 0) as m offset 0
    ),
    ${copiesOf(`select ${seen}, ${columns.join(", ")}, ${ownScoreIn(words)} as own from scored`)},
    placed as (
      select ${seen}, ${columns.join(", ")}, (row_number() over (
        order by own desc, created_at desc, conversation_id, turn_number
      ) - 1) / ${blockSize} as own_block from (
        select ${seen}, ${columns.join(", ")}, own from alike where alike < ${REPEATED}
        union all
        select ${seen}, ${columns.join(", ")}, own from copies where copy = 1 or times < ${REPEATED}
      ) as different
    ),
    hits as materialized (
      select *, min(own_block) over (
        partition by conversation_id order by turn_number range between ${REACH} preceding and ${REACH} following
      ) as block from placed
    ),
    blocks as materialized (
      select * from (
        select block, count(*) as size, sum(count(*)) over (order by block) - count(*) as passed from hits group by block
      ) as sized where passed < ${offset + limit} and passed + size > ${offset}
    )
    select ranked, id, conversation_id as conversation, turn_number as turn, extract(epoch from created_at)::float8 as time,
      bytes, role, asks, label, array[${columns.join(", ")}]::float8[] as frequencies, true as is_hit,
      own_block = block as is_best, block::integer, passed::integer,
      case when own_block = block and bytes > ${LONG_BYTES}
        then (select ${placesOf(words)} from ${vectorOfHit(sections !== undefined)}) end as places,
      case when row_number() over () = 1 then (${REPETITIONS}) end as copies
    from (select count(*)::integer as ranked from alike) as counted left join (hits join blocks using (block)) on true`;
}

/** The vector of a hit: of the section that it is judged by, or its own. */
function vectorOfHit(isSectioned: boolean): string {
  if (!isSectioned) return "messages m where m.id = hits.id";
  return `(select coalesce(s.search, m.search) as search from messages m left join best on best.message_id = m.id
    left join message_sections s on s.message_id = m.id and s.section = best.section where m.id = hits.id) as m`;
}
