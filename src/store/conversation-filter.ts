import type { SQL } from "bun";
import { boundAt } from "../moment.ts";
import { one } from "./database/one.ts";
import { conversationConditions, literally, meantBy, messageConditions, unmatchedOf } from "./narrowing.ts";
import type { Meant, Narrowing, Unmatched } from "./narrowing.ts";

/**
 * Which conversations a list holds: those that meet every condition given. Those on messages must be met by one message; the
 * period is that from the first message to the last.
 */
export interface ConversationNarrowing extends Narrowing {
  starred?: boolean | undefined;
  /** Those in the trash, and only these; without it, only those outside it. */
  in_trash?: boolean | undefined;
  /** The beginning of their ids, in hexadecimal digits and dashes. */
  id_prefix?: string | undefined;
}

/** Each condition only when it is asked for, so that the planner sees which indexes apply. */
export function listFilter(sql: SQL, narrowing: ConversationNarrowing, meant: Meant) {
  const { start_date, end_date, starred, in_trash, id_prefix } = narrowing;
  const now = new Date();
  const [start, end] = [boundAt(start_date, now), boundAt(end_date, now)];
  let filter = in_trash ? sql`deleted_at is not null` : sql`deleted_at is null`;
  for (const condition of [...conversationConditions(narrowing, meant, literally), ...ofMessages(narrowing, meant)])
    filter = sql`${filter} and ${sql.unsafe(condition)}`;
  if (start !== undefined) filter = sql`${filter} and updated_at >= ${start}::timestamptz`;
  if (end !== undefined) filter = sql`${filter} and created_at < ${end}::timestamptz`;
  if (starred !== undefined) filter = sql`${filter} and starred = ${starred}::boolean`;
  if (id_prefix !== undefined) {
    const [from, to] = idRange(id_prefix);
    filter = sql`${filter} and id between ${from}::uuid and ${to}::uuid`;
  }
  return filter;
}

/** Whether a narrowing has conditions on messages. */
export function isByMessages({ tool, kind, errors }: Narrowing): boolean {
  return tool !== undefined || kind !== undefined || errors === true;
}

/** That one message meets all conditions on messages, if there are any. */
function ofMessages(narrowing: Narrowing, meant: Meant): string[] {
  const { alone } = messageConditions(narrowing, meant, literally);
  if (alone.length === 0) return [];
  return [`exists (select from messages m where m.conversation_id = conversations.id and ${alone.join(" and ")})`];
}

/** The filters of a list that no conversation meets by itself. */
export function meetsNone(sql: SQL, narrowing: ConversationNarrowing): Promise<Unmatched[]> {
  const { in_trash, starred: _, id_prefix: __, ...filters } = narrowing;
  return unmatchedOf(sql, filters, async (alone: ConversationNarrowing) => {
    const filter = listFilter(sql, { ...alone, in_trash }, await meantBy(sql, alone));
    const { found } = await one<{ found: boolean }>(
      sql`select exists (select from conversations where ${filter}) as found`,
    );
    return found;
  });
}

/** The first and the last id with a prefix. */
function idRange(prefix: string): [string, string] {
  const digits = prefix.toLowerCase().replaceAll("-", "");
  const id = (filler: string) =>
    digits.padEnd(32, filler).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  return [id("0"), id("f")];
}
