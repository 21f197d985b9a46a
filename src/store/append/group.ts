import { DeweyError } from "../../errors.ts";
import type { Append } from "./append.ts";

/** Maximum rows of a group: enough to share the cost of a commit, few enough not to keep its callers waiting. */
const MAX_GROUP_ROWS = 1000;
/** Maximum characters of a group; a single larger message forms a group of its own. */
const MAX_GROUP_CHARACTERS = 4_000_000;

/** What the groups in flight hold. */
export interface InFlight {
  ids: ReadonlySet<string>;
  conversations: ReadonlySet<string>;
}

/**
 * The callers of the next group. Calls to one conversation keep their order: they wait while it is in flight, and behind
 * an earlier call that waits. No id occurs twice, because the database judges an id once per group. A call with its own
 * turn numbers is the last of its conversation in the group, because later numbers depend on it; and so is a part of a call,
 * because those behind it depend on its being stored. One whose words are made ahead is a group of its own.
 */
export function nextGroup(
  waiting: Append[],
  inFlight: InFlight,
  goesAlone: (append: Append) => boolean,
): { group: Append[]; left: Append[] } {
  const group: Append[] = [];
  const left: Append[] = [];
  const ids = new Set(inFlight.ids);
  const conversations = new Set(inFlight.conversations);
  const going = new Set<string>();
  let rows = 0;
  let characters = 0;
  for (const append of waiting) {
    const { conversation, call } = append;
    if (call?.hasFailed === true) {
      append.settle.reject(behindRefused());
      continue;
    }
    const fits =
      rows + append.rows.length <= MAX_GROUP_ROWS &&
      characters + append.characters <= MAX_GROUP_CHARACTERS &&
      [append, group[0]].every((each) => each === undefined || !goesAlone(each));
    const numbered = append.rows.some((row) => row.turn !== null);
    const known = append.rows.some((row) => ids.has(row.id));
    const mustWait = conversations.has(conversation) || known || (numbered && going.has(conversation));
    if (mustWait || (group.length > 0 && !fits)) {
      conversations.add(conversation);
      left.push(append);
      continue;
    }
    group.push(append);
    going.add(conversation);
    if (numbered || call !== undefined) conversations.add(conversation);
    for (const row of append.rows) ids.add(row.id);
    rows += append.rows.length;
    characters += append.characters;
  }
  return { group, left };
}

/** The rows of all these. */
export function rowsOf(appends: Append[]): number {
  return appends.reduce((sum, append) => sum + append.rows.length, 0);
}

/** The refusal of a part behind one that was not stored. */
export function behindRefused(): DeweyError {
  return new DeweyError("conflict", "an earlier part of the call was not stored; send the messages one by one");
}
