/**
 * Maximum size of a reply. AI clients refuse a tool result over about 25,000 tokens, so replies stay within about 20,000,
 * at three UTF-8 bytes per token. English text has four or more bytes per token, code and CJK about three.
 */
export const REPLY_BUDGET_BYTES = 60_000;

/** Maximum size of a reply with `full`: a frame can still carry it, with its JSON included twice and escaped. */
export const FULL_REPLY_BYTES = 32_000_000;

/** Size of the fields around a message in a reply: ids, times, names. */
export const ROW_OVERHEAD_BYTES = 250;

/** Totals are exact up to here: counting every match of a common word would cost more than finding the best ones. */
export const EXACT_TOTAL_LIMIT = 10_000;

/** A total that was counted with `EXACT_TOTAL_LIMIT + 1` as the limit. */
export function boundedTotal(counted: number): { total: number; total_is_lower_bound?: true } {
  return counted > EXACT_TOTAL_LIMIT ? { total: EXACT_TOTAL_LIMIT, total_is_lower_bound: true } : { total: counted };
}

/**
 * The largest size that a value may keep so that all values fit into the budget: small values stay whole, and large ones
 * share the rest evenly. Longer texts are cut to this size; larger metadata, which cannot be cut, is left out.
 */
export function largestWhole(sizes: number[], budgetBytes: number): number {
  let rest = budgetBytes;
  for (const [index, size] of sizes.toSorted((a, b) => a - b).entries()) {
    const even = Math.max(0, Math.floor(rest / (sizes.length - index)));
    if (size > even) return even;
    rest -= size;
  }
  return budgetBytes;
}

/**
 * The longest beginning of a text within this many UTF-8 bytes, cut between code points. All offsets and lengths in
 * replies count code points, as PostgreSQL and most clients' languages do.
 */
export function beginning(text: string, bytes: number): { text: string; characters: number } {
  let taken = 0;
  let characters = 0;
  let end = 0;
  for (const character of text) {
    const size = utf8Bytes(character.codePointAt(0) ?? 0);
    if (taken + size > bytes) break;
    taken += size;
    characters += 1;
    end += character.length;
  }
  return { text: text.slice(0, end), characters };
}

function utf8Bytes(codePoint: number): number {
  if (codePoint < 0x80) return 1;
  if (codePoint < 0x800) return 2;
  return codePoint < 0x1_0000 ? 3 : 4;
}
