/** Messages with the same text from which they are one hit. Two are two events, such as calls that a client repeated. */
export const REPEATED = 3;
/** Messages that are named besides a hit that have the same text. */
export const MAX_COPIES_NAMED = 10;

/** A message with the same text as a hit. */
interface Copy {
  message_id: string;
  conversation_id: string;
  turn: number;
}

/** Messages with one text. */
export interface Repetition {
  /** How many there are among those that were ranked. */
  times: number;
  /** Some of those besides the hit, newest first. */
  also: Copy[];
}

/** The messages with one text as the statement returns them: times, then the places, the newest first. */
export interface Copies {
  times: number;
  places: [id: string, conversation: string, turn: number][];
}

/**
 * Numbers the messages with the same text, the newest first. The same text has the same length and score; only where so many
 * messages have that they may be a repetition, their texts are read and compared by their hashes.
 */
export function copiesOf(weighed: string): string {
  const alike = "own, bytes, role";
  return `alike as materialized (select *, count(*) over (partition by ${alike}) as alike from (${weighed}) as weighed),
    told as (
      select *, (select hashtextextended(m.content, 0) from messages m where m.id = alike.id) as text
      from alike where alike >= ${REPEATED}
    ),
    copies as materialized (
      select *, count(*) over (partition by ${alike}, text) as times, row_number() over (
        partition by ${alike}, text order by created_at desc, conversation_id, turn_number
      ) as copy from told
    )`;
}

/** Selects the texts that several messages hold. */
export const REPETITIONS = `select json_agg(json_build_object('times', times, 'places', places)) from (
  select max(times) as times, json_agg(json_build_array(id, conversation_id, turn_number) order by copy)
    filter (where copy <= ${MAX_COPIES_NAMED + 1}) as places
  from copies where times >= ${REPEATED} group by own, bytes, role, text
) as repeated`;

/** What is said of the hits that stand for several messages, by their ids. */
export function repetitionsIn(turns: readonly { copies: Copies[] | null }[]): Map<string, Repetition> {
  const repetitions = new Map<string, Repetition>();
  for (const { times, places } of turns.find((turn) => turn.copies !== null)?.copies ?? []) {
    const [first, ...others] = places;
    const also = others.map(([message_id, conversation_id, turn]) => ({ message_id, conversation_id, turn }));
    if (first) repetitions.set(first[0], { times, also });
  }
  return repetitions;
}
