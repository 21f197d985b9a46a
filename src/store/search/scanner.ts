import { Kind, ODD, kindAt, traitsAt } from "./characters.ts";
import { commandEnd, lastBackslash, mayBegin, unescaped } from "./escapes.ts";
import { folded, foldedLetters, withPlainDigits } from "./folding.ts";

/**
 * Limit on a word; a longer run of letters is several words. PostgreSQL leaves out words above 2,046 bytes, and a character
 * takes at most three bytes for each UTF-16 unit.
 */
export const MAX_WORD_CHARACTERS = 500;
/** Limit on the length of a name or a path that is also one word; a longer one is found by its parts. */
const MAX_JOINED_CHARACTERS = 200;

/** Receives the words of a text, each with its UTF-16 positions. */
export interface WordSink {
  /** A word between signs or spaces, or two characters of a script without spaces. These follow each other in the text. */
  word(text: string, start: number, end: number): void;
  /** Another form of words: a part of camelCase, or a name or path as one word. It stands beside the text. */
  form(text: string, start: number, end: number): void;
  /** The last character of a run without spaces: so each character begins a word. */
  last(text: string, start: number, end: number): void;
}

/** Kinds take the lower bits of what is seen in a word, and odd letters one above. */
const SEEN_ODD = 8;

/** Where a character stands that was composed of several. */
interface Place {
  start: number;
  end: number;
}

/** A word of a name or a path. */
interface Part {
  text: string;
  start: number;
  end: number;
  /** Whether a name begins with it, which a separator or nothing precedes. */
  begins: boolean;
  /** Whether a dot precedes it. */
  isDotted: boolean;
}

/**
 * Finds the words of a text from one position to another, for contents and queries alike. A word holds only letters,
 * digits and their marks. PostgreSQL's parser would take parts of a text for files, hosts, numbers or tags; given these words
 * with spaces between them, it sees the same words. Takes linear time.
 */
export function scan(text: string, from: number, to: number, sink: WordSink): void {
  scanText(text, from, to, sink, true);
}

/** Finds the words; what escapes mean is no text with escapes, so it is read once. */
function scanText(text: string, from: number, to: number, sink: WordSink, hasEscapes: boolean): void {
  let parts: Part[] = [];
  let position = from;
  /** Where the signs since the last word began. */
  let signsFrom = from;
  /** Where the last stretch with escapes ended. */
  let readTo = from;
  while (position < to) {
    const kind = kindAt(text, position);
    if (hasEscapes && kind < Kind.letter && mayBegin(text, position)) {
      const end = scanCommand(text, position, to, sink);
      if (end !== undefined) {
        parts = joined(parts, sink);
        [position, signsFrom] = [end, end];
        continue;
      }
      const before = signsFrom === position ? parts.at(-1) : undefined;
      if (position >= readTo) readTo = scanEscapes(text, before, position, to, sink);
    }
    if (kind === Kind.joiner || kind === Kind.separator || kind === Kind.unseen) {
      position += 1;
      continue;
    }
    // A mark that no letter precedes is none.
    if (kind < Kind.letter || kind === Kind.mark) {
      parts = joined(parts, sink);
      position += 1;
      signsFrom = position;
      continue;
    }
    if (kind === Kind.unspaced) {
      parts = joined(parts, sink);
      position = scanRun(text, position, to, sink);
    } else {
      // A word that was cut for its length begins where the last ended.
      if (position === signsFrom) parts = joined(parts, sink);
      const part = scanWord(text, position, to, signsFrom, sink);
      position = part.end;
      parts.push(part);
    }
    signsFrom = position;
  }
  joined(parts, sink);
}

/**
 * Finds a command to a terminal, behind which a word begins; what stands there, such as `31merror`, is another form. Returns the
 * end of the command.
 */
function scanCommand(text: string, position: number, to: number, sink: WordSink): number | undefined {
  const end = commandEnd(text, position);
  if (end === undefined || end > to) return undefined;
  let wordEnd = end;
  while (wordEnd < to && wordEnd < end + MAX_WORD_CHARACTERS && isOfWord(kindAt(text, wordEnd))) wordEnd += 1;
  scanText(text, position + 1, wordEnd, formsOnly(sink), false);
  return end;
}

/**
 * Finds what escapes mean, with the letters before and behind them: `caf\u00e9` also has the form `café`. Returns up to
 * where that was looked for.
 */
function scanEscapes(text: string, before: Part | undefined, position: number, to: number, sink: WordSink): number {
  const read = unescaped(text, position, to);
  if (read === undefined) return lastBackslash(text, position) + 1;
  const start = before?.start ?? position;
  const meant = text.slice(start, position) + read.text;
  scanText(meant, 0, meant.length, formsOnly(sink, start, read.end), false);
  return read.end;
}

/** A sink to which all words are forms, with the place of the whole when given. */
function formsOnly(sink: WordSink, from?: number, to?: number): WordSink {
  const form = (text: string, start: number, end: number) => {
    sink.form(text, from ?? start, to ?? end);
  };
  return { word: form, form, last: form };
}

function isOfWord(kind: number): boolean {
  return kind >= Kind.letter && kind !== Kind.unspaced;
}

function scanWord(text: string, start: number, to: number, signsFrom: number, sink: WordSink): Part {
  let end = start;
  let seen = 0;
  let mayHaveHumps = false;
  let previous: number = Kind.sign;
  for (; end < to; end += 1) {
    const traits = traitsAt(text, end);
    const kind = traits & (ODD - 1);
    // PostgreSQL's parser has marks only on letters; on digits they make emoji.
    if (kind < Kind.letter || kind === Kind.unspaced || (kind === Kind.mark && previous === Kind.digit)) break;
    if (end - start >= MAX_WORD_CHARACTERS && !isLowHalf(text, end)) break;
    seen |= (1 << kind) | ((traits & ODD) << SEEN_ODD);
    if (kind === Kind.mark || kind === Kind.unseen) continue;
    mayHaveHumps ||= previous !== kind && (previous === Kind.capital || (kind === Kind.capital && end > start));
    previous = kind;
  }
  const word = safe(wordOf(text, start, end, seen));
  sink.word(word, start, end);
  if ((seen & (1 << Kind.unseen)) !== 0) scanPieces(text, start, end, sink);
  const digits = (seen & (1 << Kind.digit)) === 0 || seen < ODD << SEEN_ODD ? undefined : withPlainDigits(word);
  if (digits !== undefined) giveForm(digits, start, end, sink);
  const hasHumps = mayHaveHumps && (seen & (1 << Kind.letter)) !== 0;
  if (hasHumps) scanHumps(text, start, end, sink);
  if (end > start + 1 && isEscaped(text, start)) {
    giveForm(wordOf(text, start + 1, end, seen), start + 1, end, sink);
    if (hasHumps) scanHumps(text, start + 1, end, sink);
  }
  if (isVersion(word)) sink.form(word.slice(1), start + 1, end);
  return { text: word, start, end, begins: isBeginning(text, signsFrom, start), isDotted: text[start - 1] === "." };
}

/** Whether a name begins behind signs: a separator or nothing that is seen precedes it. */
function isBeginning(text: string, signsFrom: number, start: number): boolean {
  let begins = true;
  for (let at = signsFrom; at < start; at += 1) {
    const kind = kindAt(text, at);
    if (kind === Kind.separator) return true;
    begins &&= kind === Kind.unseen;
  }
  return begins;
}

/** Finds the pieces of a word between characters that are not seen. */
function scanPieces(text: string, start: number, end: number, sink: WordSink): void {
  let from = start;
  for (let at = start; at <= end; at += 1) {
    if (at < end && kindAt(text, at) !== Kind.unseen) continue;
    if (at > from && at - from < end - start) giveForm(folded(text.slice(from, at)), from, at, sink);
    from = at + 1;
  }
}

/** Returns a word in lower case and folded; `seen` are the traits of its characters. */
function wordOf(text: string, start: number, end: number, seen: number): string {
  const word = text.slice(start, end);
  if (seen >= ODD << SEEN_ODD) return (seen & (1 << Kind.mark)) === 0 ? foldedLetters(word) : folded(word);
  return (seen & (1 << Kind.capital)) === 0 ? word : word.toLowerCase();
}

/**
 * Whether a word begins with the letter of an escaped line break or tab, as in JSON in a text, or of a border of words, as in regular
 * expressions: `\nword`, `\bword`. It may also be a folder
 * of Windows, so the word without that letter is another form of it.
 */
function isEscaped(text: string, start: number): boolean {
  return text[start - 1] === "\\" && /[ntrb]/.test(text[start] ?? "");
}

function isVersion(word: string): boolean {
  return word.startsWith("v") && /^v\d+$/.test(word);
}

/** Finds the parts of camelCase: each begins with a capital that follows no capital, or that two small letters follow. */
function scanHumps(text: string, start: number, end: number, sink: WordSink): void {
  const kind = (position: number) => (position < end ? kindAt(text, position) : Kind.sign);
  let from = start;
  for (let at = start + 1; at < end; at += 1) {
    if (kind(at) !== Kind.capital || isLowHalf(text, at)) continue;
    const before = kind(at - 1);
    const isHump = before !== Kind.capital || (kind(at + 1) === Kind.letter && kind(at + 2) === Kind.letter);
    if (!isHump) continue;
    giveForm(folded(text.slice(from, at)), from, at, sink);
    from = at;
  }
  if (from > start) giveForm(folded(text.slice(from, end)), from, end, sink);
}

/**
 * Finds the overlapping pairs of characters in a run without spaces, which include the pairs of each word wherever it
 * starts. Returns the end of the run.
 */
function scanRun(text: string, start: number, to: number, sink: WordSink): number {
  let end = start;
  while (end < to && isOfRun(kindAt(text, end))) end += 1;
  const run = text.slice(start, end);
  if (folded(run) === run) scanPairs(Array.from(run), start, undefined, sink);
  else {
    const characters: string[] = [];
    const places: Place[] = [];
    for (const { 0: given, index } of run.matchAll(cluster))
      for (const character of folded(given)) {
        characters.push(character);
        places.push({ start: start + index, end: start + index + given.length });
      }
    scanPairs(characters, start, places, sink);
  }
  for (const { 0: digits, index } of run.matchAll(digitRuns)) {
    const plain = withPlainDigits(digits);
    if (plain !== undefined) sink.form(plain, start + index, start + index + digits.length);
  }
  return end;
}

/** Gives the pairs of characters, which follow each other from a position if they have no places of their own. */
function scanPairs(characters: string[], from: number, places: Place[] | undefined, sink: WordSink): void {
  let at = from;
  for (let index = 0; index < characters.length; index += 1) {
    const character = characters[index] ?? "";
    const next = characters[index + 1];
    const start = places?.[index]?.start ?? at;
    at += character.length;
    const end = places?.[next === undefined ? index : index + 1]?.end ?? at + (next?.length ?? 0);
    if (next !== undefined) sink.word(character + next, start, end);
    else if (index === 0) sink.word(character, start, end);
    else sink.last(character, start, end);
  }
}

function isOfRun(kind: number): boolean {
  return kind === Kind.unspaced || kind === Kind.mark || kind === Kind.unseen;
}

const digitRuns = /\p{Nd}+/gu;
/** A character and the marks that cannot be composed without it: those of kana, and letters of Hangul. */
const cluster = /[^](?:[\p{M}\p{Default_Ignorable_Code_Point}ﾞﾟ\u1160-\u11ff])*/gu;

/** Gives names and paths of several words as one word each, and a name without its extension. Returns no parts. */
function joined(parts: Part[], sink: WordSink): Part[] {
  if (parts.length < 2) return parts.length === 0 ? parts : [];
  let first = 0;
  for (let next = 1; next <= parts.length; next += 1) {
    if (next < parts.length && !parts[next]?.begins) continue;
    joinName(parts.slice(first, next), sink);
    if (next === parts.length && first > 0) join(parts, sink);
    first = next;
  }
  return [];
}

function joinName(parts: Part[], sink: WordSink): void {
  join(parts, sink);
  if (parts.at(-1)?.isDotted) join(parts.slice(0, -1), sink);
  if (!/^v?\d+$/.test(parts[0]?.text ?? "")) return;
  // Of a version, the numbers without its `v` and without what follows them.
  const numbers = parts.map(({ text }, index) => (index === 0 ? text.replace(/^v(?=\d+$)/, "") : text));
  const length = parts.findIndex((part, index) => !/^\d+$/.test(numbers[index] ?? "") || (index > 0 && !part.isDotted));
  const version = parts.slice(0, length === -1 ? parts.length : length);
  const [head] = version;
  const isWhole = version.length === parts.length && head?.text === numbers[0];
  if (head && !isWhole) join([{ ...head, text: numbers[0] ?? "" }, ...version.slice(1)], sink);
}

function join(parts: Part[], sink: WordSink): void {
  const [first, last] = [parts[0], parts.at(-1)];
  if (!first || !last || parts.length < 2 || last.end - first.start > MAX_JOINED_CHARACTERS) return;
  let whole = "";
  for (const { text } of parts) {
    // Keeps 3.14 apart from 314, and a beginning such as 12e5 from being a number.
    if (isDigit(text, 0) && (whole === "" || isDigit(whole, whole.length - 1))) whole += "x";
    whole += text;
  }
  sink.form(whole, first.start, last.end);
}

/** Gives another form of a word, unless nothing of it is seen. */
function giveForm(form: string, start: number, end: number, sink: WordSink): void {
  if (form !== "") sink.form(safe(form), start, end);
}

/** The letter keeps PostgreSQL's parser from taking a beginning such as 12e5 for a number. */
function safe(word: string): string {
  return isDigit(word, 0) && /^\d+e\d/.test(word) ? `x${word}` : word;
}

function isDigit(text: string, position: number): boolean {
  const unit = text.charCodeAt(position);
  return unit >= 0x30 && unit <= 0x39;
}

function isLowHalf(text: string, position: number): boolean {
  const unit = text.charCodeAt(position);
  return unit >= 0xdc_00 && unit < 0xe0_00;
}
