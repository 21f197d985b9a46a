import type { SQL } from "bun";
import type { Mark } from "./marks.ts";
import type { Filter, Ranked } from "./rank.ts";
import type { Total } from "./total.ts";

/** Messages that are looked through, the newest first, and how much of each: there is no index for what is no word. */
const MAX_WALKED = 20_000;
const MAX_CHARACTERS = 10_000;

/**
 * Messages that hold a text as it stands, the newest first: for queries without a word that the index knows, such as "to be
 * or not to be", a sign or a smiley. In a session or a conversation all are looked through, elsewhere the newest.
 */
export async function findLiterally(
  sql: SQL,
  text: string,
  filter: Filter,
  { offset, limit }: { offset: number; limit: number },
): Promise<Ranked[]> {
  const { statement, values } = matching(text, filter);
  const rows: { id: string }[] = await sql.unsafe(
    `${statement} order by m.created_at desc, m.id desc limit ${limit} offset ${offset}`,
    values,
  );
  return rows.map(({ id }) => ({ id, score: 0 }));
}

/** How many there are among those that are looked through. */
export async function countLiterally(sql: SQL, text: string, filter: Filter): Promise<Total> {
  const { statement, values } = matching(text, filter);
  const [row] = await sql.unsafe(
    `select (select count(*) from (${statement}) as found)::integer as total,
      exists (select from messages offset ${MAX_WALKED}) as "isMore"`,
    values,
  );
  return { total: row.total, isLowerBound: row.isMore && filter.scopeMessages === undefined };
}

/** Where the text stands in others. */
export function literalMarks(texts: string[], text: string): Mark[][] {
  const escaped = text.replace(/[^\p{L}\p{N}\s]/gu, (sign) => `\\u{${sign.codePointAt(0)?.toString(16)}}`);
  const pattern = new RegExp(escaped, "giu");
  const sought = { lexeme: text, weight: 1 };
  return texts.map((each) =>
    Array.from(each.matchAll(pattern), (match) => ({ start: match.index, end: match.index + match[0].length, sought })),
  );
}

function matching(text: string, filter: Filter): { statement: string; values: unknown[] } {
  const among =
    filter.scopeMessages === undefined
      ? `(select * from messages order by created_at desc, id desc limit ${MAX_WALKED})`
      : "messages";
  const last = filter.values.length;
  const content = `lower(left(m.content, ${MAX_CHARACTERS}))`;
  // It should not begin or end within a word. The expression alone would do, but finding a text first is far quicker.
  const isWord = /[\p{L}\p{N}_]/u;
  const start = isWord.test(Array.from(text)[0] ?? "") ? "\\m" : "";
  const end = isWord.test(Array.from(text).at(-1) ?? "") ? "\\M" : "";
  const statement = `select m.id from ${among} m where $${last + 1}::text <> ''
    and strpos(${content}, lower($${last + 1}::text)) > 0
    and ${content} ~ ('${start}' || lower($${last + 2}::text) || '${end}') and ${filter.condition}`;
  return { statement, values: [...filter.values, text, text.replace(/[!-/:-@[-`{-~]/g, "\\$&")] };
}
