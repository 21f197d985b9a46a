/** How many secrets were cut, by kind. */
export type Redactions = Record<string, number>;

/** Kind of a value that is a secret by the name of its field only; a kind that says more takes its place. */
export const NAMED = "secret field";

interface Cut {
  start: number;
  end: number;
  kind: string;
}

/** The secrets that were found in one text, in any order, and the text without them. */
export class Cuts {
  readonly #cuts: Cut[] = [];

  add(start: number, end: number, kind: string): void {
    if (end > start) this.#cuts.push({ start, end, kind });
  }

  /** The same cuts at other bounds. */
  moved(place: (start: number, end: number) => [number, number]): Cuts {
    const moved = new Cuts();
    for (const { start, end, kind } of this.#cuts) moved.add(...place(start, end), kind);
    return moved;
  }

  /** The text with a mark in place of each secret. Secrets that overlap are cut as one. */
  apply(text: string, found: Redactions): string {
    return this.#cuts.length === 0 ? text : this.applyWithin(text, 0, text.length, found);
  }

  /** As `apply`, for one part of the text. */
  applyWithin(text: string, from: number, to: number, found: Redactions): string {
    const pieces: string[] = [];
    let at = from;
    for (const { start, end, kind } of this.#merged()) {
      if (end <= from || start >= to) continue;
      pieces.push(text.slice(at, Math.max(at, start)), mark(kind, found));
      at = Math.min(end, to);
    }
    pieces.push(text.slice(at, to));
    return pieces.join("");
  }

  #merged(): Cut[] {
    const merged: Cut[] = [];
    for (const cut of this.#cuts.toSorted((a, b) => a.start - b.start)) {
      const last = merged.at(-1);
      if (last === undefined || cut.start >= last.end) {
        merged.push({ ...cut });
        continue;
      }
      last.end = Math.max(last.end, cut.end);
      if (last.kind === NAMED) last.kind = cut.kind;
    }
    return merged;
  }
}

/** The text that stands for a secret, which is counted. */
export function mark(kind: string, found: Redactions): string {
  found[kind] = (found[kind] ?? 0) + 1;
  return `[redacted: ${kind}]`;
}

export function isMark(text: string): boolean {
  return text.startsWith("[redacted");
}
