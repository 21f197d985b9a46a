/**
 * What a reply may hold. AI clients refuse a tool result over about 25,000 tokens, so replies stay within about 20,000:
 * measured in UTF-8 bytes, three to a token. English text has four or more bytes to a token, code and CJK about three.
 */
export const REPLY_BUDGET_BYTES = 60_000;

/** A reply whose budget a caller lifts stays within what a frame can carry, its JSON said twice and escaped. */
export const FULL_REPLY_BYTES = 32_000_000;

/** What the fields around a message cost in a reply: ids, times, names. */
export const ROW_OVERHEAD_BYTES = 250;

/** Totals are counted up to here: counting every match of a common word would cost more than finding the best. */
export const EXACT_TOTAL_LIMIT = 10_000;

/** A total that was counted with `EXACT_TOTAL_LIMIT + 1` as the limit. */
export function boundedTotal(counted: number): { total: number; total_is_lower_bound?: true } {
  return counted > EXACT_TOTAL_LIMIT ? { total: EXACT_TOTAL_LIMIT, total_is_lower_bound: true } : { total: counted };
}

/**
 * The size up to which a value is whole in a reply that must hold all of them: what is small stays as it is, and what is
 * large shares evenly in the rest. Texts beyond it are cut there; metadata, which cannot be cut, is left out.
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
 * The longest beginning of a text that takes at most so many bytes in UTF-8, cut between code points. The unit of all
 * offsets and lengths in replies is the code point, as in PostgreSQL and in most clients' languages.
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
