// Text from outside may hold characters that a person does not see but that act: sequences that move the cursor, rename the
// window or fill the clipboard, marks that turn the direction of reading, and invisible letters that only a model reads.

/** The colours and weights that Dewey's own output uses (SGR); a text from outside has lost its ESC before it is painted. */
const ownStyle = /\p{Cc}\[[\d;]*m/uy;

const ZWNJ = 0x200c;
const ZWJ = 0x200d;
const CONTROL_PICTURES = 0x2400;
const DELETE = 0x7f;
const DELETE_PICTURE = 0x2421;

/**
 * Text in which every hidden character is shown as its name, such as `␛` or `<U+202E>`; time and size are linear. `write`
 * says how a name is written where `<` has a meaning of its own.
 */
export function visible(text: string, write: (name: string) => string = String): string {
  return replaced(text.replaceAll("\r\n", "\n"), (code) => write(nameOf(code)), belongs);
}

/** A text with its hidden characters, but for those that belong where they stand, replaced by their names. */
function replaced(
  text: string,
  name: (code: number) => string,
  isKept: (code: number, character: string, index: number, whole: string) => boolean,
): string {
  if (!mayHide.test(text)) return text;
  const names = new Map<number, string>();
  const pieces: string[] = [];
  let shown = "";
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (units()[unit] !== HIDDEN) continue;
    const code = text.codePointAt(at) ?? 0;
    const start = at;
    if (code > 0xffff) at += 1;
    const character = text.slice(start, at + 1);
    if ((isHighHalf(unit) && !isHidden(character)) || (mayBelong(code) && isKept(code, character, start, text)))
      continue;
    let written = names.get(code);
    if (written === undefined) names.set(code, (written = name(code)));
    pieces.push(text.slice(from, start), written);
    from = at + 1;
    if (pieces.length < MAX_PIECES) continue;
    shown += pieces.join("");
    pieces.length = 0;
  }
  return shown + pieces.join("") + text.slice(from);
}

/** Pieces that are joined at once: a text may consist of hidden characters. */
const MAX_PIECES = 10_000;
/**
 * Characters that a reader would not see, or that a terminal obeys: controls but for line feed and tab, everything that
 * Unicode lets a display ignore (bidi and zero-width marks, tags, selectors, fillers), and its line separators.
 */
const mayHide = /[^\P{Cc}\n\t]|[\p{Default_Ignorable_Code_Point}\u2028\u2029\uFFF9-\uFFFB]/u;
const HIDDEN = 1;
/** For each UTF-16 unit whether it is hidden, or may begin a character that is; made when the first is met. */
let hiddenUnits: Uint8Array | undefined;

/** A table, because calling a function for each match took 0.7 µs, which is seconds for a text of megabytes. */
function units(): Uint8Array {
  hiddenUnits ??= Uint8Array.from({ length: 0x1_0000 }, (_, unit) => {
    return isHighHalf(unit) || isHidden(String.fromCharCode(unit)) ? HIDDEN : 0;
  });
  return hiddenUnits;
}

/** Of a pair that is one character. */
function isHighHalf(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isHidden(character: string): boolean {
  return mayHide.test(character);
}

/** A text with its hidden characters named, joined into one line. */
export function oneLine(text: string): string {
  return visible(text).replaceAll(/\s+/g, " ").trim();
}

/** As `visible`, for text that Dewey has painted for a terminal: colours and weights pass, and nothing else that a terminal obeys. */
export function visiblePainted(text: string): string {
  let shown = "";
  let from = 0;
  for (let escape = text.indexOf("\u001B"); escape !== -1; escape = text.indexOf("\u001B", escape + 1)) {
    ownStyle.lastIndex = escape;
    const style = ownStyle.exec(text)?.[0];
    if (style === undefined) continue;
    shown += visible(text.slice(from, escape)) + style;
    from = escape + style.length;
  }
  return shown + visible(text.slice(from));
}

/** JSON with every hidden character as its \uXXXX escape; it parses to the same value. Line feeds between values stay. */
export function escapedJson(json: string): string {
  return replaced(json, escapeOf, () => false);
}

function escapeOf(code: number): string {
  const character = String.fromCodePoint(code);
  return Array.from({ length: character.length }, (_, unit) => {
    return `\\u${character.charCodeAt(unit).toString(16).padStart(4, "0")}`;
  }).join("");
}

function nameOf(code: number): string {
  if (code < 0x20) return String.fromCodePoint(CONTROL_PICTURES + code);
  if (code === DELETE) return String.fromCodePoint(DELETE_PICTURE);
  return `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`;
}

/** Scripts whose spelling uses joiners. */
const joinedScript =
  /[\p{scx=Arab}\p{scx=Syrc}\p{scx=Mong}\p{scx=Deva}\p{scx=Beng}\p{scx=Guru}\p{scx=Gujr}\p{scx=Orya}\p{scx=Taml}\p{scx=Telu}\p{scx=Knda}\p{scx=Mlym}\p{scx=Sinh}\p{scx=Khmr}\p{scx=Mymr}\p{scx=Tibt}]/u;
const letterOrMark = /[\p{L}\p{M}]/u;
const pictograph = /[\p{Extended_Pictographic}\p{Emoji_Modifier}\uFE0F]/u;
const pictographBegins = /\p{Extended_Pictographic}/u;
/** What a selector that chooses text or emoji form may follow: keycaps (`1️⃣`) begin with a digit. */
const selectable = /[\p{Emoji}\p{S}\p{P}]/u;
const ideograph = /\p{Ideographic}/u;
const mongolian = /\p{Script=Mongolian}/u;

/** Whether an invisible character does its own work somewhere. */
function mayBelong(code: number): boolean {
  if (code === ZWJ || code === ZWNJ || code === 0xfe0e || code === 0xfe0f || code === 0x115f || code === 0x1160)
    return true;
  return (code >= 0xe0100 && code <= 0xe01ef) || (code >= 0x180b && code <= 0x180f);
}

/** Whether it does so where it stands, so that the text would be misspelt without it. */
function belongs(code: number, character: string, index: number, whole: string): boolean {
  if ((code === ZWJ || code === ZWNJ) && joinsNothing(whole.charCodeAt(index - 1))) return false;
  const before = characterBefore(whole, index);
  if (code === ZWJ || code === ZWNJ) {
    const after = String.fromCodePoint(whole.codePointAt(index + character.length) ?? 0);
    if (code === ZWJ && pictograph.test(before) && pictographBegins.test(after)) return true;
    // One joiner between two letters; a row of them would spell a hidden message.
    return isJoined(before) && isJoined(after);
  }
  if (code === 0xfe0e || code === 0xfe0f) return selectable.test(before);
  if (code >= 0xe0100 && code <= 0xe01ef) return ideograph.test(before);
  if (code >= 0x180b && code <= 0x180f && code !== 0x180e) return mongolian.test(before) && letterOrMark.test(before);
  // Hangul of before 1933 spells syllables without a first consonant or vowel with these.
  if (code === 0x115f) return /[\u1160-\u11A7]/.test(String.fromCodePoint(whole.codePointAt(index + 1) ?? 0));
  if (code === 0x1160) return /[\u1100-\u115E]/.test(before);
  return false;
}

/** Whether a unit is ASCII or another invisible one, as most are that stand before a joiner without a use. */
function joinsNothing(unit: number): boolean {
  return unit < 0x80 || (unit >= 0x200b && unit <= 0x200f);
}

function isJoined(character: string): boolean {
  return joinedScript.test(character) && letterOrMark.test(character);
}

function characterBefore(text: string, index: number): string {
  if (index === 0) return "";
  const last = text.charCodeAt(index - 1);
  const isLow = last >= 0xdc00 && last <= 0xdfff;
  return String.fromCodePoint(text.codePointAt(isLow && index > 1 ? index - 2 : index - 1) ?? 0);
}
