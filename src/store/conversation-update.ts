import type { SQL } from "bun";
import { notFound } from "./conversation-errors.ts";
import { exactMetadata, storableMetadata } from "./exact.ts";
import type { Metadata } from "./exact.ts";
import { factColumns, factsOf, titleSources } from "./facts.ts";
import type { ConversationFacts, TitleSource } from "./facts.ts";

/** What is set about a conversation. */
export interface ConversationUpdate {
  /** Which conversation; or the one that has a message whose metadata contains `of_message`. */
  conversation_id?: string | undefined;
  of_message?: Metadata | undefined;
  title?: string | undefined;
  /** Who named it; a person when absent. */
  title_source?: Exclude<TitleSource, "calls"> | undefined;
  client?: string | undefined;
  folder?: string | undefined;
  branch?: string | undefined;
  parent_id?: string | undefined;
  forked_from?: string | undefined;
  starred?: boolean | undefined;
  /** Ids of messages on branches that the conversation has left, and of those that it is on. */
  abandoned?: string[] | undefined;
  current?: string[] | undefined;
  /** Fields to add to its metadata, in place of equal ones. */
  metadata?: Metadata | undefined;
}

/**
 * Sets facts about a conversation in the caller's transaction, and marks branches; its texts hold no secrets any more. Throws
 * `not_found`.
 */
export async function setFacts(sql: SQL, id: string, update: ConversationUpdate): Promise<ConversationFacts> {
  const { title = null, title_source: source = "person", client = null, folder = null, branch = null } = update;
  const { parent_id = null, forked_from = null, starred = null } = update;
  const outranked = titleSources.slice(0, titleSources.indexOf(source));
  if (update.metadata !== undefined) await addMetadata(sql, id, update.metadata);
  // A title is prepared first: `c.title` of the right side is the row's earlier one.
  const rows: ConversationFacts[] = await sql`
    update conversations c set
      title = case when ${title}::text is null or c.title_source = any(${sql.array([...outranked], "TEXT")}) then c.title
        else ${title} end,
      title_source = case when ${title}::text is null or c.title_source = any(${sql.array([...outranked], "TEXT")})
        then c.title_source else ${source} end,
      client = coalesce(${client}, c.client), folder = coalesce(${folder}, c.folder),
      branch = coalesce(${branch}, c.branch), parent_id = coalesce(${parent_id}::uuid, c.parent_id),
      forked_from = case when exists (
          select from conversations o where o.id = ${forked_from}::uuid and (o.id = c.id or o.forked_from = c.id)
        ) then c.forked_from else coalesce(${forked_from}::uuid, c.forked_from) end, starred = coalesce(${starred}::boolean, c.starred)
    where c.id = ${id} returning ${factColumns(sql)}`;
  const [row] = rows;
  if (!row) throw notFound(id);
  await markBranches(sql, id, update);
  return factsOf(row);
}

interface StoredMetadata {
  metadata: Metadata | null;
  metadata_exact: string | null;
}

/** Adds fields to a conversation's metadata, in place of equal ones. Throws `not_found`. */
async function addMetadata(sql: SQL, id: string, added: Metadata): Promise<void> {
  const [row]: StoredMetadata[] = await sql`
    select metadata, metadata_exact from conversations where id = ${id} for no key update`;
  if (!row) throw notFound(id);
  const metadata = storableMetadata({ ...exactMetadata(row.metadata, row.metadata_exact), ...added });
  await sql`update conversations set metadata = ${metadata.readable}::text::jsonb, metadata_exact = ${metadata.exact}
    where id = ${id}`;
}

/** Marks messages by their ids, in the column and in the metadata that an export carries. Other ids change nothing. */
async function markBranches(sql: SQL, id: string, { abandoned = [], current = [] }: ConversationUpdate): Promise<void> {
  if (abandoned.length > 0) await markMessages(sql, id, abandoned, true);
  if (current.length > 0) await markMessages(sql, id, current, false);
}

async function markMessages(sql: SQL, id: string, messages: string[], abandoned: boolean): Promise<void> {
  const rows: { id: string; exact: string | null }[] = await sql`
    update messages set abandoned = ${abandoned}::boolean, metadata = case when ${abandoned}::boolean
      then coalesce(metadata, '{}'::jsonb) || '{"abandoned": true}'::jsonb else metadata - 'abandoned' end
    where conversation_id = ${id} and abandoned <> ${abandoned}::boolean and id = any(${sql.array(messages, "UUID")})
    returning id, metadata_exact as exact`;
  for (const row of rows) {
    if (row.exact === null) continue;
    const { abandoned: _, ...rest } = exactMetadata(null, row.exact) ?? {};
    const { exact } = storableMetadata(abandoned ? { ...rest, abandoned } : rest);
    await sql`update messages set metadata_exact = ${exact} where id = ${row.id}`;
  }
}
