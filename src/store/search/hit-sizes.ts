import type { Match } from "./matches.ts";
import type { Repetition } from "./repetitions.ts";

/** Cost in a reply of a hit's fields besides its texts. */
const HIT_OVERHEAD_BYTES = 360;
/** The same for a turn around a hit. */
const TURN_OVERHEAD_BYTES = 150;
/** A reply holds fewer hits rather than showing less than this of a hit's content. */
const LEAST_CONTENT_BYTES = 400;
/** The same for each turn around a hit. */
const LEAST_TURN_BYTES = 150;
/** Cost in a reply of a match's place in the snippet. */
const MATCH_BYTES = 10;
/** Cost in a reply of naming another message with the same text. */
const COPY_BYTES = 140;

/** What a match takes in a reply that shows as little of it as possible. */
export function leastBytes(match: Match): number {
  const near = match.near.reduce((sum, { bytes }) => sum + Math.min(bytes, LEAST_TURN_BYTES), 0);
  return fixedBytes(match) + Math.min(match.content_bytes, LEAST_CONTENT_BYTES) + near;
}

/** What naming the other messages with the same text takes. */
export function copiesBytes(repeated: Repetition | undefined): number {
  return (repeated?.also.length ?? 0) * COPY_BYTES;
}

/** What a match takes besides the texts that can be cut. */
export function fixedBytes(match: Match): number {
  const { text: snippet, matches } = match.snippet;
  const texts = Buffer.byteLength(snippet) + matches.length * MATCH_BYTES + match.session_bytes;
  return HIT_OVERHEAD_BYTES + texts + copiesBytes(match.repeated) + match.near.length * TURN_OVERHEAD_BYTES;
}

/** The sizes of the texts of a match, and of those around it, that can be cut. */
export function sizesOf(match: Match): number[] {
  const { content_bytes, metadata_bytes, conversation_metadata_bytes, near } = match;
  return [content_bytes, metadata_bytes, conversation_metadata_bytes, ...near.map((each) => each.bytes)];
}
