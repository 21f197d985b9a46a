import type { SQL } from "bun";
import { withoutEnd } from "../ends.ts";
import { DeweyError } from "../errors.ts";
import { unknownActor } from "./audit.ts";
import type { Act, Actor, Audit } from "./audit.ts";
import { noteChange, readHistory } from "./context-history.ts";
import type { Author, ContextHistory, HistoryRequest } from "./context-history.ts";
import { lengthInCodePoints } from "./code-points.ts";
import type { Database } from "./database/database.ts";
import { one } from "./database/one.ts";
import { redactKey } from "./redact/redact.ts";
import type { Redactor } from "./redact/redact.ts";
import { REPLY_BUDGET_BYTES, ROW_OVERHEAD_BYTES, beginning, largestWhole } from "./reply.ts";

export interface StartupContext {
  id: string;
  name: string;
  content: string;
  is_active: boolean;
  created_at: string;
  updated_at: string;
}

/** A context with the author of its content, as far as it is known: what a session is told of where it comes from. */
export interface AuthoredContext extends StartupContext {
  written_at: string;
  written_by: Pick<Author, "client_name" | "client_version">;
}

/** A context in a list: with its content if requested, and with the folders tied to it. */
export type ListedContext = Omit<StartupContext, "content"> & {
  content?: string;
  content_length?: number;
  folders?: string[];
};

interface ContextRow extends Omit<StartupContext, "created_at" | "updated_at"> {
  created_at: Date;
  updated_at: Date;
}

/** The last change of a context's content; null for one that is older than the history. */
type Written = Pick<Author, "client_name" | "client_version"> & { changed_at: Date | null };

/** Key of the advisory lock that serialises changes of contexts; any number, the same in every Dewey. */
const CHANGES_LOCK = 3_393_900_005;
/** Folders listed per context; a list is for reading, not a complete register. */
const MAX_LISTED_FOLDERS = 20;

/** A context is read as a whole at the start of a session, so it must fit into a reply, with its fields and its author. */
const MAX_CONTENT_BYTES = REPLY_BUDGET_BYTES - 2 * ROW_OVERHEAD_BYTES;

/** Startup contexts: named texts for the start of a session. At most one is active. */
export class Contexts {
  readonly #database: Database;
  readonly #redactor: Redactor;
  readonly #audit: Audit;

  constructor(database: Database, redactor: Redactor, audit: Audit) {
    this.#database = database;
    this.#redactor = redactor;
    this.#audit = audit;
  }

  /**
   * Returns the named context; without a name, the one tied to the folder or its nearest parent, or else the active one.
   * Returns null for an unknown name.
   */
  async get(input: { name?: string | undefined; folder?: string | undefined }): Promise<AuthoredContext | null> {
    const name = redactKey(this.#redactor, input.name);
    const folder = input.folder === undefined ? undefined : this.#redactor.text(input.folder, {});
    const rows: (ContextRow & Written)[] = await this.#database.retried((sql) => {
      const found =
        name === undefined
          ? sql`select c.* from startup_contexts c left join startup_context_folders f
                on f.context_id = c.id and f.folder = any(${sql.array(withParents(folder), "TEXT")})
              where c.is_active or f.folder is not null
              order by length(f.folder) desc nulls last limit 1`
          : sql`select * from startup_contexts where name = ${name}`;
      return sql`select c.*, h.changed_at, h.client_name, h.client_version from (${found}) c left join lateral (
          select changed_at, client_name, client_version from startup_context_history h
          where h.name = c.name and h.change = 'set' order by h.version desc limit 1
        ) h on true`;
    });
    const [row] = rows;
    if (!row) return null;
    const written_by = { client_name: row.client_name, client_version: row.client_version };
    return { ...context(row), written_at: (row.changed_at ?? row.updated_at).toISOString(), written_by };
  }

  /** Creates a context or replaces its content. With `set_active` it replaces the active context. */
  async set(
    input: { name: string; content: string; set_active: boolean },
    actor: Actor = unknownActor,
  ): Promise<Pick<StartupContext, "id" | "name" | "is_active" | "created_at">> {
    const by = this.#redacted(actor);
    const { set_active } = input;
    const name = redactKey(this.#redactor, input.name);
    if (Buffer.byteLength(input.content) > MAX_CONTENT_BYTES) {
      throw new DeweyError("invalid", `content should take at most ${MAX_CONTENT_BYTES} bytes`, { field: "content" });
    }
    const content = this.#redactor.text(input.content, {});
    const row = await this.#changing({ action: "context.set", actor, target: name }, async (sql) => {
      const [before]: ContextRow[] = await sql`select * from startup_contexts where name = ${name}`;
      if (set_active && before?.is_active !== true) await deactivate(sql, by);
      const after = await one<Pick<ContextRow, "id" | "name" | "is_active" | "created_at">>(
        sql`insert into startup_contexts (id, name, content, is_active)
          values (${Bun.randomUUIDv7()}, ${name}, ${content}, ${set_active})
          on conflict (name) do update
            set content = excluded.content, is_active = startup_contexts.is_active or excluded.is_active
          returning id, name, is_active, created_at`,
      );
      if (before?.content !== content) await noteChange(sql, [name], "set", by);
      else if (set_active && !before.is_active) await noteChange(sql, [name], "activated", by);
      return after;
    });
    return { id: row.id, name: row.name, is_active: row.is_active, created_at: row.created_at.toISOString() };
  }

  /** Ties a context to a folder, replacing any other; without a name, unties the folder. Throws `not_found`. */
  async tie(
    input: { folder: string; name?: string | undefined },
    actor: Actor = unknownActor,
  ): Promise<{ folder: string; name: string | null }> {
    const by = this.#redacted(actor);
    const name = redactKey(this.#redactor, input.name);
    const folder = withoutSlashes(this.#redactor.text(input.folder, {}));
    await this.#changing({ action: "context.tie", actor, target: name }, async (sql) => {
      const [before]: { name: string }[] = await sql`select c.name from startup_context_folders f
        join startup_contexts c on c.id = f.context_id where f.folder = ${folder}`;
      if (before?.name === name) return;
      if (before) await noteChange(sql, [before.name], "untied", by, folder);
      await sql`delete from startup_context_folders where folder = ${folder}`;
      if (name === undefined) return;
      const [tied]: { folder: string }[] = await sql`insert into startup_context_folders (folder, context_id)
        select ${folder}, id from startup_contexts where name = ${name} returning folder`;
      if (!tied) throw unknownContext(name);
      await noteChange(sql, [name], "tied", by, folder);
    });
    return { folder, name: name ?? null };
  }

  /** The changes of a context, even a deleted one. Throws `not_found`, and `invalid` for a cursor of another request. */
  async history(input: HistoryRequest): Promise<ContextHistory> {
    return this.#database.snapshot((sql) =>
      readHistory(sql, { ...input, name: redactKey(this.#redactor, input.name) }),
    );
  }

  /** All contexts, by name. Contents too large for the reply are cut and carry their `content_length`, in code points. */
  async list(input: { include_content: boolean }): Promise<ListedContext[]> {
    const rows: (ContextRow & { folders: string[] })[] = await this.#database.retried(
      (sql) => sql`select *, array(
          select folder from startup_context_folders f where f.context_id = c.id order by folder limit ${MAX_LISTED_FOLDERS}
        ) as folders from startup_contexts c order by name`,
    );
    const most = largestWhole(
      rows.map((row) => Buffer.byteLength(row.content)),
      REPLY_BUDGET_BYTES - rows.length * ROW_OVERHEAD_BYTES,
    );
    return rows.map((row) => {
      const { content, ...known } = context(row);
      const rest = row.folders.length === 0 ? known : { ...known, folders: row.folders };
      if (!input.include_content) return rest;
      if (Buffer.byteLength(content) <= most) return { ...rest, content };
      return { ...rest, content: beginning(content, most).text, content_length: lengthInCodePoints(content) };
    });
  }

  /** Throws `not_found`, and `conflict` for the active one unless forced. */
  async delete(input: { name: string; force: boolean }, actor: Actor = unknownActor): Promise<{ deleted: true }> {
    const by = this.#redacted(actor);
    const { force } = input;
    const name = redactKey(this.#redactor, input.name);
    await this.#changing({ action: "context.delete", actor, target: name }, async (sql) => {
      const [row]: { is_active: boolean }[] = await sql`select is_active from startup_contexts where name = ${name}`;
      if (!row) throw unknownContext(name);
      if (row.is_active && !force) {
        throw new DeweyError(
          "conflict",
          `${JSON.stringify(name)} is the active context; set force to delete it anyway`,
          { field: "force" },
        );
      }
      await noteChange(sql, [name], "deleted", by);
      await sql`delete from startup_contexts where name = ${name}`;
    });
    return { deleted: true };
  }

  #redacted(author: Author): Author {
    const text = (given: string | null) => given && this.#redactor.text(given, {});
    const { session, client_name, client_version } = author;
    return { session: text(session), client_name: text(client_name), client_version: text(client_version) };
  }

  #changing<Result>(act: Act, work: (sql: SQL) => Promise<Result>): Promise<Result> {
    return this.#audit.during(act, (note) =>
      this.#database.transaction(async (sql) => {
        await sql`select pg_advisory_xact_lock(${CHANGES_LOCK})`;
        const result = await work(sql);
        await note(sql);
        return result;
      }),
    );
  }
}

async function deactivate(sql: SQL, author: Author): Promise<void> {
  const rows: { name: string }[] =
    await sql`update startup_contexts set is_active = false where is_active returning name`;
  const names = rows.map((row) => row.name);
  if (names.length > 0) await noteChange(sql, names, "deactivated", author);
}

/** A folder and all its parents. */
function withParents(folder: string | undefined): string[] {
  if (folder === undefined) return [];
  const parts = withoutSlashes(folder).split("/");
  return parts.map((_, index) => parts.slice(0, index + 1).join("/") || "/");
}

/** A folder's path without trailing slashes; the root keeps its own. */
function withoutSlashes(folder: string): string {
  return withoutEnd(folder, "/", 1);
}

function unknownContext(name: string): DeweyError {
  return new DeweyError("not_found", `there is no startup context ${JSON.stringify(name)}`, { field: "name" });
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
