import type { SQL } from "bun";

/** Who named a conversation, in falling order: a title is replaced only by one of the same or a higher source. */
export const titleSources = ["person", "client", "prompt", "calls"] as const;
export type TitleSource = (typeof titleSources)[number];

/** What people look for a conversation by, and where it comes from. Null is unknown. */
export interface ConversationFacts {
  title: string | null;
  title_source: TitleSource | null;
  /** The program that held it, such as claude-code. */
  client: string | null;
  /** The working directory. */
  folder: string | null;
  /** The branch of version control. */
  branch: string | null;
  /** The conversation whose agent started this one. */
  parent_id: string | null;
  /** The conversation that this one continues from. */
  forked_from: string | null;
  starred: boolean;
}

/** Columns of `conversations c` for `factsOf`. A recorded session's title is computed from its calls. */
export function factColumns(sql: SQL) {
  return sql`coalesce(c.title, case when c.metadata ? 'upstream'
      then dewey_calls_title(c.id, c.metadata ->> 'upstream') end) as title, c.title_source,
    c.client, c.folder, c.branch, c.parent_id, c.forked_from, c.starred`;
}

/** The facts among a row's columns. */
export function factsOf(row: ConversationFacts): ConversationFacts {
  const { title, title_source, client, folder, branch, parent_id, forked_from, starred } = row;
  const source = title_source ?? (title === null ? null : "calls");
  return { title, title_source: source, client, folder, branch, parent_id, forked_from, starred };
}
