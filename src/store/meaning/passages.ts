/**
 * Cuts messages into the passages that are embedded. Small sentence models read 256 tokens and pass over the rest, which is
 * about 700 characters of prose or code, so a passage is no longer than that, whatever the model: one vector says little of
 * a longer text anyway.
 */
const PASSAGE_CHARACTERS = 700;
/** A passage ends at a border behind this place, if there is one: pieces that are much shorter say too little. */
const LEAST_CHARACTERS = 350;
/** Where a text is cut between two sentences, the last one before the cut also begins the next passage, up to this length. */
const OVERLAP_CHARACTERS = 120;
/** Of what a person or an agent said, this much is embedded: about 55 passages. Nobody reads a longer one as one thought. */
export const SAID_CHARACTERS = 32_000;
/** Of what a tool printed: its beginning, some 12 passages. Most of a long output is found by its words. */
export const PRINTED_CHARACTERS = 8000;

/** A passage of a text; UTF-16 positions. */
export interface Passage {
  start: number;
  end: number;
}

/** How many characters of a message of this role are embedded. */
function embeddedCharacters(role: string): number {
  return role === "tool" ? PRINTED_CHARACTERS : SAID_CHARACTERS;
}

/** Cuts the embedded beginning of a message into passages, in order. Blank texts have none. Takes linear time. */
export function passagesOf(text: string, role: string): Passage[] {
  const length = Math.min(text.length, embeddedCharacters(role));
  const passages: Passage[] = [];
  let start = afterSpace(text, 0, length);
  while (start < length) {
    const end = endOf(text, start, length);
    const passage = { start, end: beforeSpace(text, start, end) };
    // Only the sentence that the one before ends with, and space.
    if (passage.end > (passages.at(-1)?.end ?? 0)) passages.push(passage);
    if (end >= length) break;
    start = afterSpace(text, Math.max(overlapFrom(text, start, end), start + 1), length);
  }
  return passages;
}

/** The end of a passage: at the last border between paragraphs, else sentences, else lines, else words. */
function endOf(text: string, start: number, length: number): number {
  const most = start + PASSAGE_CHARACTERS;
  if (most >= length) return length;
  const least = start + LEAST_CHARACTERS;
  for (const border of BORDERS) {
    for (let place = most; place > least; place -= 1) if (border(text, place)) return place;
  }
  // The low half of a surrogate pair stays with its high half.
  return /[\udc00-\udfff]/.test(text[most] ?? "") ? most - 1 : most;
}

/** The beginning of the last sentence or line before a cut, when it is short; else the cut. */
function overlapFrom(text: string, start: number, end: number): number {
  const least = Math.max(start + 1, end - OVERLAP_CHARACTERS);
  const last = beforeSpace(text, start, end);
  for (let place = last - 1; place > least; place -= 1)
    if (isSentenceEnd(text, place) || isLineEnd(text, place)) return place;
  return end;
}

const isParagraphEnd = (text: string, place: number): boolean => text[place] === "\n" && text[place - 1] === "\n";
const isSentenceEnd = (text: string, place: number): boolean =>
  /[.!?。!?…]/.test(text[place - 1] ?? "") && (/\s/.test(text[place] ?? "") || /[。!?]/.test(text[place - 1] ?? ""));
const isLineEnd = (text: string, place: number): boolean => text[place] === "\n";
const isWordEnd = (text: string, place: number): boolean => /\s/.test(text[place] ?? "");

/** Whether a text may be cut before a place: the best borders first. */
const BORDERS = [isParagraphEnd, isSentenceEnd, isLineEnd, isWordEnd];

function afterSpace(text: string, from: number, length: number): number {
  let place = from;
  while (place < length && /\s/.test(text[place] ?? "")) place += 1;
  return place;
}

function beforeSpace(text: string, start: number, from: number): number {
  let place = from;
  while (place > start && /\s/.test(text[place - 1] ?? "")) place -= 1;
  return place;
}
