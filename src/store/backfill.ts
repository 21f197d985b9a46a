import type { Log } from "../log.ts";
import { pause } from "../pause.ts";
import type { Database } from "./database/database.ts";

/** Conversations of one step: their rows stay locked while their messages' times are read. */
const STEP_CONVERSATIONS = 20;
/** A single long conversation may take so much longer than a call's deadline. */
const STEP_EXTRA_MS = 60_000;
/**
 * What builds before 0015 stored for notes of programs: a type in brackets, such as `[event_msg token_count]`. Titles had words
 * behind it; what the system said has, too, and is no note.
 */
const FORMER_NOTE = String.raw`^\[[^\]]+\]$|^\[(ai-title|custom-title|summary)\] `;
/** Pause after a failed step, and between looks for work that another server has left, or that a recovery has brought. */
const INTERVAL_MS = 3000;

/** What a step did: filled in some conversations, or found nothing, or another server at work. */
type StepOutcome = "more" | "idle";

/**
 * Gives the conversations from before migration 0015 their facts: times of the first and the last message, and what metadata
 * and the first prompt say; and marks what programs noted for themselves. Each step is a transaction that records how far it
 * has come, so any server goes on where another was killed. A step gives the same result for conversations that are already
 * complete.
 */
export class Backfill {
  readonly #database: Database;
  readonly #log: Log;
  #isIdle = false;

  constructor(database: Database, log: Log) {
    this.#database = database;
    this.#log = log;
  }

  /** Whether there was nothing to do at the last look. */
  get isIdle(): boolean {
    return this.#isIdle;
  }

  /** Walks all conversations once, and again after a recovery, until the signal aborts. */
  async keep(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const startedMs = performance.now();
      let outcome: StepOutcome = "idle";
      try {
        outcome = await this.#step();
        this.#isIdle = outcome === "idle";
      } catch (error) {
        if (!signal.aborted)
          this.#log.warn("conversations could not be given their facts; the next round goes on", { error });
      }
      // Half of the time belongs to those who store and search.
      await pause(outcome === "more" ? performance.now() - startedMs : INTERVAL_MS, signal);
    }
  }

  async #step(): Promise<StepOutcome> {
    return this.#database.transaction(async (sql) => {
      const [place]: { walked_to: string | null }[] = await sql`
        select walked_to from dewey_backfill where not is_done for update skip locked`;
      if (!place) return "idle";
      // Locked first, so that the next statement sees whatever was stored before.
      const rows: { id: string }[] = await sql`
        select id from conversations where ${place.walked_to}::uuid is null or id > ${place.walked_to}::uuid
        order by id limit ${STEP_CONVERSATIONS} for no key update`;
      const ids = sql.array(
        rows.map((row) => row.id),
        "UUID",
      );
      await sql`
        with noted as (
          update messages set bookkeeping = true, metadata = metadata || '{"bookkeeping": true}'
          where conversation_id = any(${ids}) and not bookkeeping and kind is null and role = 'system'
            and metadata ->> 'source' in ('claude-code', 'codex') and metadata ? 'kind' and content ~ ${FORMER_NOTE}
          returning conversation_id
        )
        update conversations c set message_count = c.message_count - n.count
        from (select conversation_id, count(*)::integer as count from noted group by 1) n where c.id = n.conversation_id`;
      await sql`
        update conversations c set
          created_at = coalesce(times.first, c.created_at), updated_at = coalesce(times.last, c.updated_at),
          title = coalesce(c.title, named.title, prompted.title),
          title_source = case when c.title is not null then c.title_source when named.title is not null then 'client'
            when prompted.title is not null then 'prompt' end,
          client = coalesce(c.client, c.metadata ->> 'client_name', c.metadata ->> 'source'),
          folder = coalesce(c.folder, c.metadata ->> 'cwd'), branch = coalesce(c.branch, c.metadata ->> 'branch'),
          parent_id = coalesce(c.parent_id, dewey_uuid(c.metadata ->> 'parent_conversation_id'))
        from unnest(${ids}) as chosen (id)
        cross join lateral (
          select min(created_at) as first, max(created_at) as last from messages m
          where m.conversation_id = chosen.id and not m.bookkeeping
        ) times
        cross join lateral (
          select nullif(btrim(left(k.metadata ->> 'title', 500)), '') as title from conversations k where k.id = chosen.id
        ) named
        left join lateral (
          select nullif(dewey_prompt_title(content), '') as title from messages m
          where m.conversation_id = chosen.id and m.role = 'user'
            and coalesce(m.metadata ->> 'kind', 'prompt') = 'prompt'
            and not coalesce(m.metadata ? 'tool' or m.metadata ->> 'source' = 'proxy', false)
          order by turn_number limit 1
        ) prompted on true
        where c.id = chosen.id`;
      const last = rows.at(-1);
      await sql`update dewey_backfill set walked_to = coalesce(${last?.id ?? null}::uuid, walked_to), is_done = ${last === undefined}`;
      return last === undefined ? "idle" : "more";
    }, STEP_EXTRA_MS);
  }
}
