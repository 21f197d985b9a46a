import { scan } from "./scanner.ts";
import type { WordSink } from "./scanner.ts";
import { searchable } from "./text.ts";

/** A content of more bytes has its words in sections; as in the triggers of 0026. Any content below fits into a tsvector. */
export const SECTIONED_BYTES = 100_000;
/** Words of a section, other forms included: PostgreSQL has no positions above 16,383. */
const MAX_WORDS = 16_000;
/** Bytes of its words, which fit into a tsvector of 1 MB: a lexeme takes at most five times the bytes of its word. */
const MAX_BYTES = 200_000;
/** Characters of the content that a section reaches over: the snippet of a hit is looked for in these. */
const MAX_CHARACTERS = 200_000;
/** What a section repeats of the one before: a phrase of a query has no more words and characters, so one of them holds it. */
const REPEATED_WORDS = 2000;
const REPEATED_CHARACTERS = 20_000;

/** A part of a long text whose words are stored together. */
export interface Section {
  /** Where it begins in the content, and its length; in code points. */
  from: number;
  characters: number;
  /** Its words and their other forms, as PostgreSQL's parser should see them. */
  words: string;
}

/** The words of a content, as they are stored. */
export interface WrittenWords {
  /** What PostgreSQL's parser should see in place of the content; of a long one, its first section. Null for the content itself. */
  searchable: string | null;
  /** All sections of a long content, but for a single one; null of one that is not long. */
  sections: Section[] | null;
}

/** Writes the words of a content for storing. */
export function writtenWords(content: string): WrittenWords {
  if (!isLong(content)) return { searchable: searchable(content), sections: null };
  const sections = sectionsOf(content);
  return { searchable: sections[0]?.words ?? "", sections: sections.length > 1 ? sections : [] };
}

function isLong(content: string): boolean {
  return (
    content.length > SECTIONED_BYTES ||
    (3 * content.length > SECTIONED_BYTES && Buffer.byteLength(content) > SECTIONED_BYTES)
  );
}

/** Cuts a text between words, whatever it holds: a name or path that goes on over many sections loses none of its forms. */
export function sectionsOf(text: string): Section[] {
  const sections = new Sections(text);
  scan(text, 0, text.length, sections);
  return sections.ended();
}

/** A word in a text; UTF-16 positions. */
interface PlacedWord {
  text: string;
  start: number;
  end: number;
}

/** The first colon behind a label, by which `dewey_labelled_words` recognises it. */
const label = /^[^\n:]{1,40}(?=:\s)/;

/** Gathers words until a section is full. */
class Sections implements WordSink {
  readonly #text: string;
  readonly #labelEnd: number;
  readonly #cut: Section[] = [];
  #words: PlacedWord[] = [];
  #forms: string[] = [];
  #bytes = 0;
  /** UTF-16 positions. */
  #start = 0;
  #end = 0;
  /** A position, and the code points before it. */
  #counted = { position: 0, characters: 0 };

  constructor(text: string) {
    this.#text = text;
    this.#labelEnd = label.exec(text)?.[0].length ?? 0;
  }

  word(text: string, start: number, end: number): void {
    if (!this.#hasRoom(text, end)) this.#next(start, this.#repeated(end));
    this.#words.push({ text, start, end });
    this.#bytes += bytesOf(text);
    this.#end = Math.max(this.#end, end);
  }

  form(text: string, start: number, end: number): void {
    if (!this.#hasRoom(text, end)) this.#next(start, []);
    this.#forms.push(text);
    this.#bytes += bytesOf(text);
    this.#end = Math.max(this.#end, end);
  }

  last(text: string, start: number, end: number): void {
    this.form(text, start, end);
  }

  ended(): Section[] {
    this.#next(this.#text.length, []);
    return this.#cut;
  }

  #hasRoom(text: string, end: number): boolean {
    return (
      this.#words.length + this.#forms.length < MAX_WORDS &&
      this.#bytes + bytesOf(text) <= MAX_BYTES &&
      end - this.#start <= MAX_CHARACTERS
    );
  }

  /** The last words, as many as a phrase may have, if they are near. */
  #repeated(end: number): PlacedWord[] {
    let characters = 0;
    const first = this.#words.findLastIndex(({ text, start }, index) => {
      characters += text.length + 1;
      const isFar = end - start > MAX_CHARACTERS / 2;
      return isFar || characters > REPEATED_CHARACTERS || index < this.#words.length - REPEATED_WORDS;
    });
    return this.#words.slice(first + 1);
  }

  /** Ends a section, if it has words, and begins the next with those that it repeats, or at a position. */
  #next(start: number, repeated: PlacedWord[]): void {
    if (this.#words.length + this.#forms.length > 0) {
      const from = this.#charactersBefore(this.#start);
      const characters = this.#charactersBefore(this.#end) - from;
      this.#cut.push({ from, characters, words: this.#written() });
    }
    this.#words = repeated;
    this.#forms = [];
    this.#bytes = repeated.reduce((sum, { text }) => sum + bytesOf(text), 0);
    this.#start = repeated[0]?.start ?? start;
    this.#end = this.#start;
  }

  #written(): string {
    const words = this.#words.map(({ text }) => text);
    const labelled = this.#cut.length === 0 ? this.#words.findLastIndex(({ end }) => end <= this.#labelEnd) : -1;
    if (labelled !== -1) words[labelled] += ":";
    return this.#forms.length === 0 ? words.join(" ") : `${words.join(" ")}\n${this.#forms.join(" ")}`;
  }

  #charactersBefore(position: number): number {
    let { position: at, characters } = this.#counted;
    for (; at < position; at += 1) if (!isLowHalf(this.#text, at)) characters += 1;
    for (; at > position; at -= 1) if (!isLowHalf(this.#text, at - 1)) characters -= 1;
    this.#counted = { position, characters };
    return characters;
  }
}

function isLowHalf(text: string, position: number): boolean {
  const unit = text.charCodeAt(position);
  return unit >= 0xdc_00 && unit <= 0xdf_ff;
}

/** Of a word, and the space behind it. */
function bytesOf(word: string): number {
  return Buffer.byteLength(word) + 1;
}
