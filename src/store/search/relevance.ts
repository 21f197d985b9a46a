import { PASSAGE_WORDS, bestPassage } from "./passage.ts";
import { placesIn } from "./vector.ts";
import type { Place } from "./vector.ts";

/**
 * How well a message answers a query. A message is as good as its best passage, and the longer it is, the less its words
 * say about it: a tool's output of 20 kB holds some passage with almost any words. Nothing here depends on the other
 * messages of the store except the weights of words, so the order within a conversation stays what it is beside long texts.
 * Each value is from the middle of a plateau; test/bench tells what others gave.
 */

/** BM25's term saturation and length normalization, for passages of this average length in words. */
const K1 = 0.9;
const B = 0.75;
const AVERAGE_WORDS = 110;
/** The same average for a turn's window, whose neighbours count for a part of their words only. */
const AVERAGE_WINDOW_WORDS = 40;
/** Of a length: a message of these many words counts 2 ** LENGTH_POWER times as much as a very short one. */
const LENGTH_WORDS = 50;
const LENGTH_POWER = -0.4;
/** What a person said is what is remembered; what a tool printed was hardly read. */
const ROLE_WEIGHTS: Readonly<Record<string, number>> = { user: 1.4, tool: 0.8 };
/**
 * What is said in fewer words is mostly small talk, which answers seldom, and a short question asks for what is sought: of a
 * turn of hardly any words, these shares of its own score are lost.
 */
const FULL_WORDS = 30;
/** The same for what a tool printed, which says much in few words; not so few that it counts more than if it were said. */
const FULL_TOOL_WORDS = 20;
const LOST_BY_BREVITY = 0.5;
const LOST_BY_A_QUESTION = 0.9;
/** Bytes of a word with the space behind it. In scripts without spaces, a character of three bytes makes half a word. */
const BYTES_PER_WORD = 6;

/** Turns on each side that lend a turn weight, decreasing linearly with the distance. */
export const REACH = 4;
const WINDOW_WEIGHT = 0.6;
/** Longer turns lend no weight: their words say little about what is near them, and unpacking their vectors takes long. */
export const MOST_NEAR_BYTES = 12_000;
/** Score added for each query word in the label. What a tool printed has no speaker: before its colon is a name or a place. */
const LABEL_WEIGHT = 7;
const TOOL_LABEL_WEIGHT = 2;
/** Share of a question's own score that is added to the turn after it. A long prompt is more than its last question. */
const ANSWER_WEIGHT = 0.45;
const MAX_QUESTION_WORDS = 40;
/** Share of the best that any turns of the conversation hold of each word. */
const CONVERSATION_WEIGHT = 0.3;

/** The words of a query that occur, rarest first, with their weights. */
export interface QueryWords {
  lexemes: string[];
  weights: number[];
}

/** A turn that matches, or a neighbour of one. */
export interface Turn {
  id: string;
  conversation: string;
  turn: number;
  time: number;
  /** Of its content. */
  bytes: number;
  role: string;
  asks: boolean;
  /** Number of query words in the label. */
  label: number;
  /** Whether it is a hit, or only lends weight. */
  is_hit: boolean;
  /** Of each query word in the whole turn. */
  frequencies: number[];
}

/** A hit's score, without the details of how it came about. */
export interface ScoredTurn {
  turn: Turn;
  score: number;
}

const wordsIn = `bytes / ${BYTES_PER_WORD}.0::float8`;
const rolesIn = Object.entries(ROLE_WEIGHTS)
  .map(([role, weight]) => `when '${role}' then ${weight}::float8`)
  .join(" ");
/** A SQL expression for what a turn is worth by its `bytes` and `role`, whatever its words. */
export const priorIn = `power(1 + ${wordsIn} / ${LENGTH_WORDS}, ${LENGTH_POWER}) * case role ${rolesIn} else 1::float8 end`;

/**
 * Returns a SQL expression for the score of a turn by itself: of `bytes`, `role`, `label`, and a frequency `f0`, `f1` … of
 * each word. A long text is judged by all of its words, since its passages are known only later.
 */
export function ownScoreIn({ weights }: QueryWords): string {
  const words = wordsIn;
  const norm = `(${K1 * (1 - B)} + ${(K1 * B) / AVERAGE_WORDS} * least(${words}, ${PASSAGE_WORDS}))`;
  const own = weights.map((weight, index) => `${weight} * ${K1 + 1} * f${index} / (f${index} + ${norm})`).join(" + ");
  const label = `case role when 'tool' then ${TOOL_LABEL_WEIGHT} else ${LABEL_WEIGHT} end`;
  return `(${own}) * ${priorIn} + ${label} * label`;
}

/** The same in TypeScript, without the label. */
export function ownScore(turn: Turn, words: QueryWords): number {
  return sum(partsOf(turn, words, turn.frequencies));
}

/** A longer turn has more than one passage. */
export const LONG_BYTES = PASSAGE_WORDS * BYTES_PER_WORD;

/**
 * Scores the hits among turns and their neighbours. `vectors` are those of long turns, by id; a long turn without one is
 * judged by its rarest word alone, which some passage of it holds.
 */
export function scoreTurns(turns: Turn[], words: QueryWords, vectors: ReadonlyMap<string, Uint8Array>): ScoredTurn[] {
  const near = byConversation(turns);
  const neighbour = (turn: Turn, distance: number) => near.get(turn.conversation)?.get(turn.turn + distance);
  const parts = new Map(turns.map((turn) => [turn, ownParts(turn, words, vectors.get(turn.id))]));
  const conversations = bestOfConversations(parts);
  return [...parts].flatMap(([turn, own]) => {
    if (!turn.is_hit) return [];
    const before = neighbour(turn, -1);
    const question = before?.asks && wordsOf(before) <= MAX_QUESTION_WORDS ? sum(parts.get(before) ?? []) : 0;
    const score =
      brevity(turn) * sum(own) +
      (turn.role === "tool" ? TOOL_LABEL_WEIGHT : LABEL_WEIGHT) * turn.label +
      WINDOW_WEIGHT * windowScore(turn, words, neighbour) +
      ANSWER_WEIGHT * question +
      CONVERSATION_WEIGHT * sum(conversations.get(turn.conversation) ?? []);
    return [{ turn, score }];
  });
}

/** Share of its own score that counts. What others gain by a short turn is not lost: its words tell what the talk is about. */
function brevity(turn: Turn): number {
  const full = turn.role === "tool" ? FULL_TOOL_WORDS : FULL_WORDS;
  const lacking = Math.max(0, 1 - wordsOf(turn) / full);
  return 1 - lacking * (turn.asks ? LOST_BY_A_QUESTION : LOST_BY_BREVITY);
}

/** The turns of each conversation by their numbers. */
export function byConversation<Each extends Turn>(turns: readonly Each[]): Map<string, Map<number, Each>> {
  const conversations = new Map<string, Map<number, Each>>();
  for (const turn of turns) {
    const own = conversations.get(turn.conversation);
    if (own) own.set(turn.turn, turn);
    else conversations.set(turn.conversation, new Map([[turn.turn, turn]]));
  }
  return conversations;
}

/** What each word adds to a turn's own score, by its best passage. */
function ownParts(turn: Turn, words: QueryWords, vector: Uint8Array | undefined): number[] {
  const { lexemes } = words;
  if (turn.bytes <= LONG_BYTES) return partsOf(turn, words, turn.frequencies);
  if (vector && turn.is_hit) return partsOf(turn, words, bestCounts(turn, words, placesIn(vector, lexemes)));
  const rarest = turn.frequencies.findIndex((frequency) => frequency > 0);
  return partsOf(
    turn,
    words,
    turn.frequencies.map((_, index) => (index === rarest ? 1 : 0)),
  );
}

function bestCounts(turn: Turn, { weights }: QueryWords, places: Place[]): number[] {
  const norm = normOf(turn);
  return bestPassage(places, weights.length, (word, count) => ((weights[word] ?? 0) * count) / (count + norm));
}

function partsOf(turn: Turn, { weights }: QueryWords, frequencies: readonly number[]): number[] {
  const norm = normOf(turn);
  const prior = (1 + wordsOf(turn) / LENGTH_WORDS) ** LENGTH_POWER * (ROLE_WEIGHTS[turn.role] ?? 1);
  return frequencies.map(
    (frequency, index) => (prior * (weights[index] ?? 0) * (K1 + 1) * frequency) / (frequency + norm),
  );
}

function normOf(turn: Turn): number {
  return K1 * (1 - B + (B * Math.min(PASSAGE_WORDS, wordsOf(turn))) / AVERAGE_WORDS);
}

function bestOfConversations(parts: Map<Turn, number[]>): Map<string, number[]> {
  const best = new Map<string, number[]>();
  for (const [{ conversation }, own] of parts) {
    const known = best.get(conversation);
    best.set(conversation, known ? known.map((part, index) => Math.max(part, own[index] ?? 0)) : own);
  }
  return best;
}

/** BM25 of a turn and its neighbours as one text. */
function windowScore(
  turn: Turn,
  { weights }: QueryWords,
  neighbour: (turn: Turn, distance: number) => Turn | undefined,
): number {
  const frequencies = weights.map(() => 0);
  let length = 0;
  for (let distance = -REACH; distance <= REACH; distance += 1) {
    const near = neighbour(turn, distance);
    if (!near || (distance !== 0 && near.bytes > MOST_NEAR_BYTES)) continue;
    const words = wordsOf(near);
    const share = (1 - Math.abs(distance) / (REACH + 1)) * Math.sqrt(Math.min(1, PASSAGE_WORDS / words));
    length += share * Math.min(PASSAGE_WORDS, words);
    for (const [index, frequency] of near.frequencies.entries())
      frequencies[index] = (frequencies[index] ?? 0) + share * frequency;
  }
  // A full window holds as much as REACH + 1 turns: the sum of its shares.
  const norm = K1 * (1 - B + (B * length) / (REACH + 1) / AVERAGE_WINDOW_WORDS);
  return sum(
    frequencies.map((frequency, index) => ((weights[index] ?? 0) * (K1 + 1) * frequency) / (frequency + norm)),
  );
}

function wordsOf({ bytes }: Turn): number {
  return Math.max(1, bytes / BYTES_PER_WORD);
}

function sum(parts: readonly number[]): number {
  return parts.reduce((total, part) => total + part, 0);
}
