import { SECTIONED_BYTES } from "./sections.ts";
import { anyOf, inLabel, tsquery } from "./query.ts";
import { beginningOf } from "./text.ts";
import type { QueryWords } from "./relevance.ts";

/** `ts_rank` sums 1/j² over a lexeme's positions and divides by the limit of that sum. */
const RANK_SCALE = 1.644934;

/** A message's vector, read and unpacked once for all that is computed from it; it is stored apart from the row when it is long. */
export const UNPACKED = "(array[m.search])[1]";
/** What a turn's score is computed from. */
export const ROW = `m.id, m.conversation_id, m.turn_number, m.created_at, m.role, octet_length(m.content) as bytes,
  ${UNPACKED} as search`;

/** Messages whose best sections are read; of more, only the words that their best ones hold are known. */
const SECTIONS_READ = 50;
/**
 * The same of a message `m` that is judged by its section `s`. Its length is that of a section, and a little of its own: it is no
 * worse for what stands elsewhere in it. Texts of different lengths differ, so that none is taken for a copy and read for that.
 */
export const SECTION_ROW = `m.id, m.conversation_id, m.turn_number, m.created_at, m.role,
  ${SECTIONED_BYTES} + octet_length(m.content) / 1000::float8 as bytes,
  case when m.place <= ${SECTIONS_READ} then (array[s.search])[1] else m.held::tsvector end as search`;

/** Whether a turn ends with a question. */
export const ASKS = "m.search @@ '''?'''::tsquery";

/** How often each word occurs, as far as `ts_rank` tells. */
export function frequenciesOf({ lexemes }: QueryWords): string[] {
  return lexemes.map((each) => `${RANK_SCALE} * ts_rank('{1,1,1,1}', m.search, ${tsquery(anyOf([each]))})`);
}

/** Counts the query's words in the label. Few messages have a label with one, so that is asked first. */
export function labelWords({ lexemes }: QueryWords): string {
  const inLabels = lexemes.map(inLabel);
  const each = inLabels.map((query) => `(m.search @@ ${tsquery(query)})::integer`).join(" + ");
  return `case when m.search @@ ${tsquery(inLabels.join(" | "))} then ${each} else 0 end`;
}

/** The words of a message's vector with their places, as `tsvectorsend` writes them: of the query's alone, where these are no beginnings. */
export function placesOf({ lexemes }: QueryWords): string {
  if (lexemes.some((each) => beginningOf(each) !== undefined)) return "tsvectorsend(m.search)";
  const list = lexemes.map((each) => `'${each.replaceAll("'", "''")}'`).join(", ");
  // The weight marks them, and the others are left out.
  return `tsvectorsend(ts_filter(setweight(m.search, 'C', array[${list}]), '{c}'))`;
}
