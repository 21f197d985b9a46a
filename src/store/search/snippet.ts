import { lengthInCodePoints } from "../code-points.ts";
import { beginning } from "../reply.ts";
import type { Mark, Sought } from "./marks.ts";

/** Length of a fragment around a good place. */
const FRAGMENT_CHARACTERS = 160;
/** The best place, and a second one with words that the first lacks. */
const MAX_FRAGMENTS = 2;
/** A text up to this length is shown whole. */
const WHOLE_CHARACTERS = 2 * FRAGMENT_CHARACTERS;
/** Share of a piece around a match that lies before the match. */
const SHARE_BEFORE = 1 / 4;
/** Limit on moving a cut to the end of a word. */
const MAX_WORD_CHARACTERS = 30;
/** Weights are told apart to so many parts of one. */
const WORTH_OF_ONE = 1_000_000;

/** A part of a text; UTF-16 positions. */
interface Range {
  start: number;
  end: number;
}

/** Excerpts of a text in one line. */
export interface Snippet {
  /** Each match between double asterisks. */
  text: string;
  /** Where the matches are in it, without their asterisks, in code points: a text may have asterisks of its own. */
  matches: [start: number, end: number][];
}

/** Excerpts a text around its marks; without marks, its beginning. `isCut` says that the text itself is a piece. */
export function snippetOf(text: string, marks: Mark[], isCut = false): Snippet {
  const ranges = text.length <= WHOLE_CHARACTERS ? [{ start: 0, end: text.length }] : fragments(text, marks);
  const shown = new Line();
  if (isCut || (ranges.at(0)?.start ?? 0) > 0) shown.add("… ");
  for (const [index, range] of ranges.entries()) {
    if (index > 0) shown.add(" … ");
    highlight(shown, text, range, marks);
  }
  if ((ranges.at(-1)?.end ?? 0) < text.length) shown.add(" …");
  return shown.ended();
}

/** Shows a passage whole, with the marks in it. */
export function passageOf(text: string, marks: Mark[], { start, end }: Range): Snippet {
  const shown = new Line();
  if (start > 0) shown.add("… ");
  highlight(shown, text, { start: boundary(text, start), end: Math.min(end, text.length) }, marks);
  if (end < text.length) shown.add(" …");
  return shown.ended();
}

/** A line that is written piece by piece; spaces and line breaks that follow each other are one space. */
class Line {
  #text = "";
  /** Its length in code points. */
  #length = 0;
  readonly #matches: [number, number][] = [];

  add(piece: string): void {
    const flat = piece.replace(/\s+/g, " ");
    this.#append(/^$| $/.test(this.#text.slice(-1)) ? flat.trimStart() : flat);
  }

  addMatch(match: string): void {
    this.#append("**");
    const start = this.#length;
    this.#append(match.replace(/\s+/g, " "));
    this.#matches.push([start, this.#length]);
    this.#append("**");
  }

  ended(): Snippet {
    return { text: this.#text.trimEnd(), matches: this.#matches };
  }

  #append(piece: string): void {
    this.#text += piece;
    this.#length += lengthInCodePoints(piece);
  }
}

/** Cuts at most `bytes` of a text around its best place, from the beginning when that place is included. */
export function pieceAround(text: string, marks: Mark[], bytes: number): { text: string; start: number } {
  const from = beginning(text, bytes).text;
  const best = bestWindow(marks, FRAGMENT_CHARACTERS);
  if (best === undefined || best.end <= from.length) return { text: from, start: 0 };
  const start = boundary(text, Math.max(0, best.start - Math.floor(from.length * SHARE_BEFORE)));
  const piece = beginning(text.slice(start), bytes).text;
  return { text: piece, start };
}

/** Cuts at most `bytes` of a text from a place on, or from the beginning when that includes a quarter behind the place. */
export function pieceFrom(text: string, place: number, bytes: number): { text: string; start: number } {
  const from = beginning(text, bytes).text;
  if (place <= from.length * (1 - SHARE_BEFORE)) return { text: from, start: 0 };
  const start = Math.max(0, place - Math.floor(from.length * SHARE_BEFORE));
  const whole = boundary(text, start);
  return { text: beginning(text.slice(whole), bytes).text, start: whole };
}

function fragments(text: string, marks: Mark[]): Range[] {
  const ranges: Range[] = [];
  let left = marks;
  while (ranges.length < MAX_FRAGMENTS) {
    const best = bestWindow(left, FRAGMENT_CHARACTERS);
    if (best === undefined) break;
    const shown = new Set(best.marks.map((mark) => mark.sought));
    left = left.filter((mark) => !shown.has(mark.sought));
    const room = Math.max(0, FRAGMENT_CHARACTERS - (best.end - best.start)) / 2;
    ranges.push({
      start: boundary(text, Math.max(0, Math.floor(best.start - room))),
      end: boundary(text, Math.min(text.length, Math.ceil(best.end + room))),
    });
  }
  if (ranges.length === 0) return [{ start: 0, end: boundary(text, WHOLE_CHARACTERS) }];
  return joined(ranges.toSorted((a, b) => a.start - b.start));
}

/**
 * Finds the window of marks with the highest total weight, each word of the query counted once. Takes linear time: a window's
 * last mark is never before that of the previous window.
 */
function bestWindow(marks: Mark[], characters: number): (Range & { marks: Mark[] }) | undefined {
  const counts = new Map<Sought, number>();
  let best = { index: 0, next: 0, worth: 0 };
  let [next, worth] = [0, 0];
  for (const [index, first] of marks.entries()) {
    for (let mark = marks[next]; mark && mark.end <= first.start + characters; mark = marks[next]) {
      const count = counts.get(mark.sought) ?? 0;
      counts.set(mark.sought, count + 1);
      if (count === 0) worth += worthOf(mark.sought);
      next += 1;
    }
    if (worth > best.worth) best = { index, next, worth };
    // A mark that is longer than a window is in none.
    if (next === index) next += 1;
    else {
      const left = (counts.get(first.sought) ?? 0) - 1;
      counts.set(first.sought, left);
      if (left === 0) worth -= worthOf(first.sought);
    }
  }
  if (best.worth === 0) return undefined;
  const within = marks.slice(best.index, best.next);
  return {
    start: marks[best.index]?.start ?? 0,
    end: within.reduce((end, mark) => Math.max(end, mark.end), 0),
    marks: within,
  };
}

/** A whole number, so that what is added and taken away again leaves nothing behind. */
function worthOf({ weight }: Sought): number {
  return Math.round(weight * WORTH_OF_ONE);
}

/** Adds the range, its marks between asterisks. Marks that touch or are separated by signs only are joined. */
function highlight(shown: Line, text: string, range: Range, marks: Mark[]): void {
  const within = marks
    .map(({ start, end }) => ({ start: Math.max(start, range.start), end: Math.min(end, range.end) }))
    .filter(({ start, end }) => start < end);
  let position = range.start;
  for (const mark of joined(within, (from, to) => /^[_\-./\\@:]{0,3}$/.test(text.slice(from, to)))) {
    shown.add(text.slice(position, mark.start));
    shown.addMatch(text.slice(mark.start, mark.end));
    position = mark.end;
  }
  shown.add(text.slice(position, range.end));
}

/** Joins sorted ranges that overlap, touch, or have `isNothing` between them. */
function joined(ranges: Range[], isNothing: (from: number, to: number) => boolean = () => false): Range[] {
  const result: Range[] = [];
  for (const { start, end } of ranges) {
    const last = result.at(-1);
    if (last && (start <= last.end || isNothing(last.end, start))) last.end = Math.max(last.end, end);
    else result.push({ start, end });
  }
  return result;
}

/** Moves the position to the next end of a word if one is near; never splits a surrogate pair. */
function boundary(text: string, position: number): number {
  if (position <= 0 || position >= text.length) return position;
  const space = /\s/.exec(text.slice(position - 1, position + MAX_WORD_CHARACTERS));
  if (space) return position + space.index;
  // The low half of a surrogate pair.
  return /[\udc00-\udfff]/.test(text[position] ?? "") ? position - 1 : position;
}
