/** Longer words are no misspelt names, and comparing takes time by the product of their lengths. */
const MAX_CHARACTERS = 40;

/** ` (did you mean X?)` for the name that a misspelt word most likely stands for; empty when none is near. */
export function didYouMean(word: string, names: Iterable<string>): string {
  const name = nearest(word, names);
  return name === undefined ? "" : ` (did you mean ${name}?)`;
}

/**
 * The name with the fewest typing errors from a word, at most one for every three characters; else the only one that begins
 * with the word, or with which the word begins, as `claude` and `gemini-cli` stand for `claude-code` and `gemini`.
 */
export function nearest(word: string, names: Iterable<string>): string | undefined {
  if (word.length > MAX_CHARACTERS) return undefined;
  const all = [...names];
  return mistyped(word, all) ?? shortened(word, all);
}

/** Shorter beginnings stand for too much. */
const LEAST_BEGINNING = 3;

function shortened(word: string, names: string[]): string | undefined {
  const given = word.toLowerCase();
  const meant = names.filter((name) => {
    const known = name.toLowerCase();
    if (Math.min(given.length, known.length) < LEAST_BEGINNING) return false;
    return known.startsWith(given) || given.startsWith(known);
  });
  return meant.length === 1 ? meant[0] : undefined;
}

function mistyped(word: string, names: string[]): string | undefined {
  const most = Math.max(1, Math.floor(word.length / 3));
  let best: { name: string; errors: number } | undefined;
  for (const name of names) {
    if (name.length > MAX_CHARACTERS) continue;
    const errors = typingErrors(word.toLowerCase(), name.toLowerCase());
    if (errors <= most && errors < (best?.errors ?? Infinity)) best = { name, errors };
  }
  return best?.name;
}

/** Characters that were added, left out, replaced or swapped with their neighbour (optimal string alignment). */
function typingErrors(from: string, to: string): number {
  const rows: number[][] = [Array.from({ length: to.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number) => rows[row]?.[column] ?? Infinity;
  for (let row = 1; row <= from.length; row += 1) {
    rows[row] = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const same = from[row - 1] === to[column - 1];
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      rows[row]?.push(
        Math.min(
          at(row - 1, column) + 1,
          at(row, column - 1) + 1,
          at(row - 1, column - 1) + (same ? 0 : 1),
          swapped ? at(row - 2, column - 2) + 1 : Infinity,
        ),
      );
    }
  }
  return at(from.length, to.length);
}
