import type { SQL } from "bun";
import type { Model } from "./models.ts";
import { cosine } from "./vectors.ts";

/**
 * How like a query a message is, from what it says and what was said around it: a short answer hardly says what it is about,
 * but the question before it does. And what a person said is what is remembered. Values are from the middle of plateaus;
 * test/bench tells what others gave.
 */

/** How much the turn before, and the turn after, count beside the message itself. */
const BEFORE_WEIGHT = 0.25;
const AFTER_WEIGHT = 0.15;
/** Added to the likeness of what a person said. */
const PERSON_BONUS = 0.03;
/** Messages whose neighbours are looked at: more would be read than change what is shown. */
const MAX_WITH_NEIGHBOURS = 100;
/** Of a neighbour, this many passages are compared: as many as are embedded of a tool's output. */
const MAX_NEIGHBOUR_PASSAGES = 12;
/** What a tool printed says nothing of what was said around it, nor this of it. */
const PRINTS = "tool";

/** A message as its own best passage is like a query. */
interface Alike {
  id: string;
  conversation: string;
  turn: number;
  role: string;
  likeness: number;
}

/** Vectors of what is compared. */
interface Compared {
  model: Model;
  vector: Float32Array;
  /** The highest id of a passage that counts. */
  upTo: number;
}

/** Orders messages, given the best first, by how like a query they are with what was said around them. */
export async function inContext<Each extends Alike>(sql: SQL, messages: Each[], compared: Compared): Promise<Each[]> {
  const first = messages.slice(0, MAX_WITH_NEIGHBOURS);
  const near = await neighboursOf(sql, first, compared);
  const weighed = first.map((message) => {
    const { before = message.likeness, after = message.likeness } = near.get(message.id) ?? {};
    const all = message.likeness + BEFORE_WEIGHT * before + AFTER_WEIGHT * after;
    const bonus = message.role === "user" ? PERSON_BONUS : 0;
    return { ...message, likeness: all / (1 + BEFORE_WEIGHT + AFTER_WEIGHT) + bonus };
  });
  // Sorting keeps the given order among equals.
  return [...weighed.toSorted((a, b) => b.likeness - a.likeness), ...messages.slice(MAX_WITH_NEIGHBOURS)];
}

interface Near {
  before?: number;
  after?: number;
}

async function neighboursOf(
  sql: SQL,
  messages: Alike[],
  { model, vector, upTo }: Compared,
): Promise<Map<string, Near>> {
  const said = messages.filter(({ role }) => role !== PRINTS);
  const near = new Map<string, Near>();
  if (said.length === 0) return near;
  const ids = said.map(({ id }) => id);
  const conversations = said.map(({ conversation }) => conversation);
  const turns = said.map(({ turn }) => turn);
  const rows: { id: string; side: "before" | "after"; scale: number; vector: Uint8Array }[] = await sql`
    select g.id, side, p.scale, p.bytes as vector
    from unnest(
      ${sql.array(ids, "UUID")}::uuid[], ${sql.array(conversations, "UUID")}::uuid[], ${sql.array(turns, "INTEGER")}::integer[]
    ) as g (id, conversation, turn)
    cross join (values ('before', -1), ('after', 1)) as sides (side, step)
    join messages n on n.conversation_id = g.conversation and n.turn_number = g.turn + step and n.role <> ${PRINTS}
    cross join lateral (
      select scale, bytes from dewey_meaning_passages
      where message_id = n.id and model = ${model.id}::uuid and id <= ${upTo}::bigint
      order by starts_at limit ${MAX_NEIGHBOUR_PASSAGES}
    ) as p`;
  for (const { id, side, scale, vector: kept } of rows) {
    const bytes = new Int8Array(kept.buffer, kept.byteOffset, kept.length);
    const known = near.get(id) ?? {};
    near.set(id, { ...known, [side]: Math.max(known[side] ?? -1, cosine(vector, { scale, bytes })) });
  }
  return near;
}
