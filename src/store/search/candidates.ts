import type { Basis } from "./basis.ts";
import type { Filter } from "./filter.ts";
import { areLong, chooseParts, partsStatement } from "./parts.ts";
import type { Bounds, Part } from "./parts.ts";
import { holdsAny } from "./holding.ts";
import { priorIn } from "./relevance.ts";
import { SECTIONED_BYTES } from "./sections.ts";
import { SECTION_ROW } from "./turn-columns.ts";

/** The vector of a shorter text lies in its row. */
const INLINE_BYTES = 2000;

/**
 * Selects columns of the messages that are ranked. Those in whose sections words are found are judged by the best of these, which
 * are in `best`.
 */
export function candidates(columns: string, basis: Basis, filter: Filter, bounds: Bounds): string {
  const whole = byOwnWords(columns, basis, filter, bounds);
  if (filter.sections === undefined) return whole;
  return `select * from (${whole}) as whole
      where whole.bytes <= ${SECTIONED_BYTES} or whole.id not in (select message_id from best)
    union all
    select ${SECTION_ROW} from (
      select m.*, best.section, best.held, row_number() over (order by best.worth desc, m.created_at desc) as place
      from best join messages m on m.id = best.message_id where ${filter.sieve}
      order by place limit ${bounds.gathered}
    ) as m join message_sections s on s.message_id = m.id and s.section = m.section`;
}

function byOwnWords(columns: string, basis: Basis, filter: Filter, bounds: Bounds): string {
  const { scoped, words, rows, passing, since } = basis;
  if (!scoped) {
    const { gathered, long } = bounds;
    const isLong = areLong(basis);
    const parts = chooseParts(words, rows, passing, bounds, isLong);
    const found = (wanted: (part: Part) => string) =>
      partsStatement(wanted, parts, since, filter, { gathered, isLong });
    return isLong && long < Infinity ? withoutLong(columns, found, long) : found(() => columns);
  }
  return `select * from (select ${columns} from messages m where ${filter.condition} offset 0) as m
    where ${holdsAny(
      words.map(({ lexeme }) => lexeme),
      false,
    )}`;
}

/**
 * Selects the candidates but for the long ones that are worth the least by their lengths: their vectors lie apart from their
 * rows, and reading them takes most of the time. Rows are read again by their places in the table, which stay the same within
 * a statement.
 */
function withoutLong(columns: string, found: (columns: (part: Part) => string) => string, most: number): string {
  const seen = ({ isLate = false }: Part) =>
    `m.ctid as place, m.id, octet_length(m.content) as bytes, m.role, ${isLate} as is_late`;
  return `with found as materialized (${found(seen)})
    select ${columns} from (
      select place from found where bytes <= ${INLINE_BYTES}
      union all
      (select place from found where bytes > ${INLINE_BYTES} order by is_late, ${priorIn} desc, id limit ${most})
    ) as kept join messages m on m.ctid = kept.place`;
}
