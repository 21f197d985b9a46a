import { DeweyError } from "../errors.ts";
import type { Database } from "./database.ts";
import type { Redactor } from "./redact.ts";
import { REPLY_BUDGET_BYTES, ROW_OVERHEAD_BYTES, beginning, largestWhole } from "./reply.ts";

export interface StartupContext {
  id: string;
  name: string;
  content: string;
  is_active: boolean;
  created_at: string;
  updated_at: string;
}

/** A context in a list: with its content when that was asked for. */
export type ListedContext = Omit<StartupContext, "content"> & { content?: string; content_length?: number };

interface ContextRow extends Omit<StartupContext, "created_at" | "updated_at"> {
  created_at: Date;
  updated_at: Date;
}

/** Any number, the same for all: who changes which context is active goes one after the other. */
const ACTIVE_LOCK = 3_393_900_002;

/** A context is read whole, at the start of a session, and so has to fit in a reply. */
const MAX_CONTENT_BYTES = REPLY_BUDGET_BYTES - ROW_OVERHEAD_BYTES;

/** Startup contexts: named texts that a session begins with, of which at most one is active. */
export class Contexts {
  readonly #database: Database;
  readonly #redactor: Redactor;

  constructor(database: Database, redactor: Redactor) {
    this.#database = database;
    this.#redactor = redactor;
  }

  /** The named one, or the active one when no name is given. */
  async get(input: { name?: string | undefined }): Promise<StartupContext | null> {
    const rows: ContextRow[] = await this.#database.repeatable((sql) =>
      input.name === undefined
        ? sql`select * from startup_contexts where is_active`
        : sql`select * from startup_contexts where name = ${input.name}`,
    );
    return rows[0] ? context(rows[0]) : null;
  }

  /** Makes a context or gives it new content. Active, it takes the place of the one that was. */
  async set(input: {
    name: string;
    content: string;
    set_active: boolean;
  }): Promise<Pick<StartupContext, "id" | "name" | "is_active" | "created_at">> {
    if (Buffer.byteLength(input.content) > MAX_CONTENT_BYTES) {
      throw new DeweyError("invalid", `content should take at most ${MAX_CONTENT_BYTES} bytes`, { field: "content" });
    }
    const [row]: ContextRow[] = await this.#database.transaction(async (sql) => {
      await sql`select pg_advisory_xact_lock(${ACTIVE_LOCK})`;
      if (input.set_active) {
        await sql`update startup_contexts set is_active = false where is_active and name <> ${input.name}`;
      }
      return sql`insert into startup_contexts (id, name, content, is_active)
        values (${Bun.randomUUIDv7()}, ${input.name}, ${this.#redactor.text(input.content, {})}, ${input.set_active})
        on conflict (name) do update
          set content = excluded.content, is_active = startup_contexts.is_active or excluded.is_active
        returning id, name, is_active, created_at`;
    });
    if (!row) throw new DeweyError("internal", "the context was set but its answer is missing");
    return { id: row.id, name: row.name, is_active: row.is_active, created_at: row.created_at.toISOString() };
  }

  /** All, by name. Contents that do not fit in the reply together are cut, with their `content_length` in code points. */
  async list(input: { include_content: boolean }): Promise<ListedContext[]> {
    const rows: ContextRow[] = await this.#database.repeatable(
      (sql) => sql`select * from startup_contexts order by name`,
    );
    const most = largestWhole(
      rows.map((row) => Buffer.byteLength(row.content)),
      REPLY_BUDGET_BYTES - rows.length * ROW_OVERHEAD_BYTES,
    );
    return rows.map((row) => {
      const { content, ...rest } = context(row);
      if (!input.include_content) return rest;
      if (Buffer.byteLength(content) <= most) return { ...rest, content };
      return { ...rest, content: beginning(content, most).text, content_length: Array.from(content).length };
    });
  }

  /** Throws `not_found`, and `conflict` for the active one unless forced. */
  async delete(input: { name: string; force: boolean }): Promise<{ deleted: true }> {
    const { name, force } = input;
    await this.#database.transaction(async (sql) => {
      await sql`select pg_advisory_xact_lock(${ACTIVE_LOCK})`;
      const [row] = await sql`select is_active from startup_contexts where name = ${name}`;
      if (!row) {
        throw new DeweyError("not_found", `there is no startup context ${JSON.stringify(name)}`, { field: "name" });
      }
      if (row.is_active && !force) {
        throw new DeweyError(
          "conflict",
          `${JSON.stringify(name)} is the active context; say force to delete it all the same`,
          {
            field: "force",
          },
        );
      }
      await sql`delete from startup_contexts where name = ${name}`;
    });
    return { deleted: true };
  }
}

function context(row: ContextRow): StartupContext {
  return {
    id: row.id,
    name: row.name,
    content: row.content,
    is_active: row.is_active,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}
