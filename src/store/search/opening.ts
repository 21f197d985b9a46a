import type { SQL } from "bun";
import { one } from "../database/one.ts";

/** What a search asks the database before all else. */
export interface Opening extends SearchLanguages {
  /** The transaction's snapshot as PostgreSQL writes it: `xmin:xmax:` and the ids of transactions in progress. */
  snapshot: string;
  /** Whether any conversation is in the trash. */
  hasTrash: boolean;
  /** Whether any message has its words in sections. */
  isSectioned: boolean;
}

/** How the words of messages were made. */
export interface SearchLanguages {
  /** That of new messages, then those of earlier ones. */
  languages: string[];
  /** Whether messages of the earlier form are left, which PostgreSQL's parser read by itself. */
  earlierForm: boolean;
}

export async function readOpening(sql: SQL): Promise<Opening> {
  const row = await one<Opening>(sql`
    select pg_current_snapshot()::text as snapshot, language || earlier as languages, earlier_form as "earlierForm",
      exists (select from conversations where deleted_at is not null) as "hasTrash",
      exists (select from message_sections) as "isSectioned"
    from dewey_search_language`);
  return { ...row, languages: [...row.languages] };
}
