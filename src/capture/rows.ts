import { Chunks } from "../chunks.ts";
import type { GatheredText } from "../chunks.ts";
import { LineSplitter } from "../lines.ts";
import { MAX_FRAME_BYTES } from "../wire/frame.ts";

/** A piece of a source that a reader can understand alone: a line, or an element of an array. */
export interface SourceRow {
  /** Undefined when it is larger than anything that could be stored. */
  text: string | undefined;
  /** The line's number, or the element's, from 1. */
  number: number;
  /** Where in the source it ends, in bytes. */
  end: number;
}

/** A larger row could not be sent to the store; it is passed over without being held in memory. */
const MAX_ROW_BYTES = MAX_FRAME_BYTES;

const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const [OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * The lines of a stream that are not empty. What follows the last line end is a row too, unless `isUnfinished` says that a
 * writer may still be at it.
 */
export async function* lines(
  stream: AsyncIterable<Uint8Array>,
  from: { end: number; number: number } = { end: 0, number: 0 },
  isUnfinished = false,
): AsyncGenerator<SourceRow> {
  const splitter = new LineSplitter(MAX_ROW_BYTES);
  let { end, number } = from;
  for await (const chunk of stream) {
    for (const line of splitter.push(chunk)) {
      number += 1;
      end += line.bytes;
      if (!isBlank(line)) yield { text: whole(line), number, end };
    }
  }
  const { unfinished: last } = splitter;
  if (!isUnfinished && !isBlank(last)) yield { text: whole(last), number: number + 1, end: end + last.bytes };
}

function isBlank({ text, isCut }: GatheredText): boolean {
  return !isCut && text.trim() === "";
}

/** Half a row is of no use. */
function whole({ text, isCut }: GatheredText): string | undefined {
  return isCut ? undefined : text;
}

/**
 * The objects of a JSON text that open at a depth of brackets, one at a time: an export of years is one array of gigabytes.
 * At depth 0 it is the text itself, and as many more as follow it.
 */
export async function* objects(stream: AsyncIterable<Uint8Array>, at: number): AsyncGenerator<SourceRow> {
  const chunks = new Chunks(MAX_ROW_BYTES);
  let [depth, number, end] = [0, 0, 0];
  let [inString, escaped] = [false, false];
  for await (const chunk of stream) {
    let start = depth > at ? 0 : -1;
    for (let index = 0; index < chunk.length; index += 1) {
      const byte = chunk[index];
      if (inString) {
        if (escaped) escaped = false;
        else if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) inString = false;
      } else if (byte === QUOTE) inString = true;
      else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        if (depth === at) start = index;
        depth += 1;
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        depth -= 1;
        if (depth !== at || start === -1) continue;
        number += 1;
        yield { text: whole(chunks.take(chunk.subarray(start, index + 1))), number, end: end + index + 1 };
        start = -1;
      }
    }
    if (start !== -1) chunks.add(chunk.subarray(start));
    end += chunk.length;
  }
  if (chunks.bytes > 0) yield { text: whole(chunks.take()), number: number + 1, end };
}

/** The JSON objects of a line that holds several, as a writer leaves them that was stopped; undefined for any other. */
export function objectsIn(line: string): string[] | undefined {
  const found: string[] = [];
  let [depth, start] = [0, 0];
  let [inString, escaped] = [false, false];
  for (let index = 0; index < line.length; index += 1) {
    const code = line.charCodeAt(index);
    if (inString) {
      if (escaped) escaped = false;
      else if (code === BACKSLASH) escaped = true;
      else if (code === QUOTE) inString = false;
    } else if (code === QUOTE) inString = true;
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) depth += 1;
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      depth -= 1;
      if (depth !== 0) continue;
      found.push(line.slice(start, index + 1).trim());
      start = index + 1;
    }
  }
  const rest = line.slice(start).trim();
  if (rest !== "") found.push(rest);
  return found.length > 1 ? found : undefined;
}

/** Places at which a whole row is sought behind a torn one. */
const MAX_TORN_PLACES = 16;
/** Where an object begins that is neither a value nor an element: before those stands a colon, a comma or a bracket. */
const ROW_BEGINNING = /[^\s:,[]\{"/g;

/**
 * The two parts of a line in which a writer was stopped within a row and the next one went on behind it: half a row, and a whole
 * one. Undefined for any other line.
 */
export function tornIn(line: string): string[] | undefined {
  let place = 0;
  for (const { index } of line.matchAll(ROW_BEGINNING)) {
    place += 1;
    if (place > MAX_TORN_PLACES) return undefined;
    const rest = line.slice(index + 1);
    if (isJson(rest)) return [line.slice(0, index + 1), rest];
  }
  return undefined;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
