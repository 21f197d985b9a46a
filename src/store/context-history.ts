import type { SQL } from "bun";
import { DeweyError } from "../errors.ts";
import { z } from "zod";
import { placeOf } from "./cursor.ts";
import { countRows, listPlaceSchema, pageOf } from "./listing.ts";
import type { Listed } from "./listing.ts";

/** The author of a change: the client's session, and the name and version it reported. Null where unknown. */
export interface Author {
  session: string | null;
  client_name: string | null;
  client_version: string | null;
}

export const unknownAuthor: Author = { session: null, client_name: null, client_version: null };

type Change = "set" | "activated" | "deactivated" | "tied" | "untied" | "deleted";

/** One change of a startup context. */
export interface ContextVersion extends Author {
  version: number;
  change: Change;
  is_active: boolean;
  /** The folder of "tied" and "untied". */
  folder: string | null;
  changed_at: string;
  /** In code points. */
  content_length: number;
  /** Present when a single version was requested. */
  content?: string;
}

export interface ContextHistory extends Listed {
  name: string;
  versions: ContextVersion[];
}

export interface HistoryRequest {
  name: string;
  /** Only this version, with its content. */
  version?: number | undefined;
  limit: number;
  offset: number;
  /** `next_cursor` of the page before. */
  cursor?: string | undefined;
}

const versionPlace = listPlaceSchema(z.int());

interface VersionRow extends Omit<ContextVersion, "changed_at"> {
  changed_at: Date;
}

/** Records a change of contexts in their current state. The caller holds the contexts' lock, so versions have no gaps. */
export async function noteChange(
  sql: SQL,
  names: string[],
  change: Change,
  author: Author,
  folder: string | null = null,
): Promise<void> {
  await sql`insert into startup_context_history
      (name, version, change, content, is_active, folder, session, client_name, client_version)
    select c.name, coalesce((select max(h.version) from startup_context_history h where h.name = c.name), 0) + 1,
      ${change}, c.content, c.is_active, ${folder}, ${author.session}, ${author.client_name}, ${author.client_version}
    from startup_contexts c where c.name = any(${sql.array(names, "TEXT")})`;
}

/**
 * The changes of a context, the latest first, or one version with its content. Throws `not_found`, and `invalid` for a
 * cursor of another request.
 */
export async function readHistory(sql: SQL, input: HistoryRequest): Promise<ContextHistory> {
  const { name, version, limit } = input;
  const request = ["history", name, version];
  const going = placeOf(input, request, versionPlace);
  const of = version === undefined ? sql`name = ${name}` : sql`name = ${name} and version = ${version}`;
  const wanted = going === undefined ? of : sql`${of} and version < ${going.after}`;
  const found: VersionRow[] = await sql`
    select version, change, is_active, folder, changed_at, length(content) as content_length, session, client_name,
      client_version ${version === undefined ? sql`` : sql`, content`}
    from startup_context_history where ${wanted} order by version desc limit ${limit + 1} offset ${input.offset}`;
  const counted = going?.counted ?? (await countRows(sql, sql`from startup_context_history where ${of}`));
  if (counted.total === 0) throw nothingKept(name, version);
  const offset = going?.offset ?? input.offset;
  const { rows, listed } = pageOf(found, (row) => row.version, { request, limit, offset, counted });
  const versions = rows.map((row) => ({ ...row, changed_at: row.changed_at.toISOString() }));
  return { name, versions, ...listed };
}

function nothingKept(name: string, version: number | undefined): DeweyError {
  const what = version === undefined ? "" : ` version ${version} of the`;
  const field = version === undefined ? "name" : "version";
  return new DeweyError("not_found", `there is no${what} startup context ${JSON.stringify(name)}`, { field });
}
