import type { Reads } from "./database/reads.ts";
import { redactKey } from "./redact/redact.ts";
import type { Redactor } from "./redact/redact.ts";
import { withoutEnd } from "../ends.ts";

/** Where a session ended: a person's words, and what was being done. */
export interface LastSession {
  id: string;
  title: string | null;
  client: string | null;
  folder: string | null;
  /** ISO 8601. */
  updated_at: string;
  /** The person's last prompts, the latest first; the beginning of each. */
  prompts: string[];
  /** Files that tools changed, the latest first. */
  files: string[];
  /** Entries of the last to-do list that are not done. */
  todos: string[];
}

interface SessionRow extends Omit<LastSession, "updated_at" | "files"> {
  updated_at: Date;
  files: string[] | null;
}

/** Sessions that are returned. */
const MAX_SESSIONS = 3;
/** The latest sessions of a folder among which those with a person's prompt are sought. */
const MAX_CANDIDATES = 20;
/** Only the end of a session is read, however long it is. */
const MAX_TURNS = 2000;
const MAX_PROMPTS = 3;
const MAX_FILES = 6;
const MAX_TODOS = 4;
/** Characters of a prompt, a path or an entry: they are shown shortened anyway. */
const MAX_TEXT_CHARACTERS = 400;
/** Characters of a patch in which the names of its files are sought. */
const MAX_PATCH_CHARACTERS = 20_000;

/** Tools that change files, by their names in all clients. */
const CHANGES_FILES = "(edit|write|patch|replace|create_file|delete_file|insert)";

/** The ends of sessions, by folder. */
export class LastSessions {
  readonly #reads: Pick<Reads, "lookUp">;
  readonly #redactor: Redactor;

  constructor(reads: Pick<Reads, "lookUp">, redactor: Redactor) {
    this.#reads = reads;
    this.#redactor = redactor;
  }

  /** The last sessions in which a person said something, in this folder or in all; `session` and what belongs to it left out. */
  async read(input: { folder?: string | undefined; session?: string | undefined }): Promise<LastSession[]> {
    const given = input.folder === undefined ? undefined : withoutEnd(input.folder, "/", 1);
    const folder = redactKey(this.#redactor, given) ?? null;
    const session = redactKey(this.#redactor, input.session) ?? null;
    const rows: SessionRow[] = await this.#reads.lookUp(
      (sql) => sql`
        with latest as (
          select id, title, client, folder, updated_at, last_turn from conversations
          where folder is not null and deleted_at is null and parent_id is null
            and ${folder === null ? sql`true` : sql`folder = ${folder}`}
            and ${session === null ? sql`true` : sql`session_id is distinct from ${session} and id::text <> ${session}`}
          order by updated_at desc, id desc limit ${MAX_CANDIDATES}
        )
        select l.id, l.title, l.client, l.folder, l.updated_at, p.prompts, f.files, coalesce(t.todos, '{}') as todos
        from latest l
        cross join lateral (
          select array_agg(content order by turn_number desc) as prompts from (
            select left(content, ${MAX_TEXT_CHARACTERS}) as content, turn_number from messages m
            where m.conversation_id = l.id and m.turn_number > l.last_turn - ${MAX_TURNS} and m.role = 'user'
              and coalesce(m.kind, 'prompt') = 'prompt' and not m.abandoned and not m.bookkeeping
            order by turn_number desc limit ${MAX_PROMPTS}
          ) as prompt
        ) as p
        cross join lateral (
          select array_agg(path order by turn desc) as files from (
            select left(path, ${MAX_TEXT_CHARACTERS}) as path, max(turn_number) as turn from messages m
            cross join lateral (
              select coalesce(m.metadata #>> '{arguments,file_path}', m.metadata #>> '{arguments,notebook_path}',
                m.metadata #>> '{arguments,filePath}', m.metadata #>> '{arguments,absolute_path}',
                m.metadata #>> '{arguments,path}') as path
              union all
              select named[1] from regexp_matches(
                left(m.content, ${MAX_PATCH_CHARACTERS}), '^[* ]*(?:Update|Add|Delete) File: (.+)$', 'gn') as named
              where m.content like '%*** Begin Patch%'
            ) as touched
            where m.conversation_id = l.id and m.turn_number > l.last_turn - ${MAX_TURNS} and m.kind = 'tool_use'
              and not m.abandoned and path <> ''
              and (m.metadata ->> 'tool' ~* ${CHANGES_FILES} or m.content like '%*** Begin Patch%')
            group by 1 order by turn desc limit ${MAX_FILES}
          ) as file
        ) as f
        left join lateral (
          select array(
            select left(coalesce(entry ->> 'content', entry ->> 'step', entry ->> 'description'), ${MAX_TEXT_CHARACTERS})
            from jsonb_array_elements(
              case when jsonb_typeof(list) = 'array' then list else '[]' end) with ordinality as e (entry, place)
            where jsonb_typeof(entry) = 'object'
              and coalesce(entry ->> 'status', '') not in ('completed', 'cancelled', 'done')
              and coalesce(entry ->> 'content', entry ->> 'step', entry ->> 'description', '') <> ''
            order by place limit ${MAX_TODOS}
          ) as todos
          from (
            select coalesce(m.metadata #> '{arguments,todos}', m.metadata #> '{arguments,plan}') as list from messages m
            where m.conversation_id = l.id and m.turn_number > l.last_turn - ${MAX_TURNS} and m.kind = 'tool_use'
              and not m.abandoned and m.metadata ->> 'tool' ~* '^(todowrite|update_plan|write_todos|todo_write)$'
            order by m.turn_number desc limit 1
          ) as last_list
        ) as t on true
        where p.prompts is not null
        order by l.updated_at desc, l.id desc limit ${MAX_SESSIONS}`,
    );
    return rows.map(({ updated_at, files, ...row }) => ({
      ...row,
      updated_at: updated_at.toISOString(),
      files: files ?? [],
    }));
  }
}
