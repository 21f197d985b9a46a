import type { SQL } from "bun";
import { DeweyError } from "../errors.ts";
import { notFound } from "./conversation-errors.ts";
import { placeOf } from "./cursor.ts";
import type { Database } from "./database/database.ts";
import type { Metadata } from "./exact.ts";
import { behind, countRows, keyTime, listPlaceSchema, pageOf, timeKey } from "./listing.ts";
import type { Listed } from "./listing.ts";
import { redactKey } from "./redact/redact.ts";
import type { CuttableColumn, Exact, NewFiedlerResult, PreparedResult } from "./result-row.ts";
import { FULL_REPLY_BYTES, REPLY_BUDGET_BYTES, ROW_OVERHEAD_BYTES, beginning, largestWhole } from "./reply.ts";
import type { Workshop } from "./workshop/workshop.ts";

/** One model's answer in one orchestration. */
interface FiedlerResult {
  id: string;
  correlation_id: string;
  model: string;
  prompt: string | null;
  output: string;
  tokens_prompt: number | null;
  tokens_completion: number | null;
  duration_seconds: number | null;
  status: string | null;
  error_message: string | null;
  created_at: string;
  metadata: Metadata | null;
  conversation_id: string | null;
  /** Sizes in bytes of texts that are cut, and of metadata that is left out, because they do not fit into the reply. */
  cut_bytes?: Partial<Record<CuttableColumn, number>>;
}

interface ResultRow extends Omit<FiedlerResult, "created_at" | "cut_bytes"> {
  created_at: Date;
  exact: string | null;
}

export interface ResultList extends Listed {
  results: FiedlerResult[];
}

interface ResultFilter {
  correlation_id?: string | undefined;
  model?: string | undefined;
  status?: string | undefined;
  conversation_id?: string | undefined;
}

const resultPlace = listPlaceSchema(timeKey);

/** Orchestration results: one row per model. */
export class Results {
  readonly #database: Database;
  readonly #workshop: Workshop;

  constructor(database: Database, workshop: Workshop) {
    this.#database = database;
    this.#workshop = workshop;
  }

  /** Throws `not_found` for the conversation and `conflict` for an id that is taken by another result. */
  async store(input: NewFiedlerResult): Promise<{ id: string; created_at: string }> {
    const id = input.result_id?.toLowerCase() ?? Bun.randomUUIDv7();
    const { hash, kept, stored } = await this.#workshop.make("result", id, input);
    const [row] = await this.#insert(id, hash, kept, stored);
    if (!row) throw notFound(input.conversation_id ?? "");
    if (row.sent_hash?.toString("hex") !== hash) {
      throw new DeweyError("conflict", `result_id ${id} is taken by another result; give each result its own`, {
        field: "result_id",
      });
    }
    return { id, created_at: row.created_at.toISOString() };
  }

  /**
   * The newest first. `full` raises the reply's budget, so that long outputs come whole. Throws `invalid` for a cursor of
   * another request.
   */
  async find(
    input: ResultFilter & {
      full?: boolean | undefined;
      limit: number;
      offset: number;
      /** `next_cursor` of the previous page. */
      cursor?: string | undefined;
    },
  ): Promise<ResultList> {
    const { status, conversation_id, limit } = input;
    const [correlation_id, model] = [input.correlation_id, input.model].map((key) =>
      redactKey(this.#workshop.redactor, key),
    );
    const request = ["results", { correlation_id, model, status, conversation_id }];
    const going = placeOf(input, request, resultPlace);
    return this.#database.snapshot(async (sql) => {
      const filter = matching(sql, { correlation_id, model, status, conversation_id });
      const wanted = going === undefined ? filter : sql`${filter} and ${behind(sql, "created_at", going.after)}`;
      const found: (Size & { time: string })[] = await sql`
        select id, coalesce(octet_length(prompt), 0) as prompt, octet_length(output) as output,
          coalesce(octet_length(error_message), 0) as error_message,
          coalesce(octet_length(metadata::text), 0) as metadata, ${keyTime(sql, "created_at")} as time
        from fiedler_results r where ${wanted}
        order by created_at desc, id desc limit ${limit + 1} offset ${input.offset}`;
      const counted = going?.counted ?? (await countRows(sql, sql`from fiedler_results r where ${filter}`));
      const offset = going?.offset ?? input.offset;
      const { rows, listed } = pageOf(found, ({ time, id }) => ({ time, id }), { request, limit, offset, counted });
      return { results: await read(sql, rows, input.full ?? false), ...listed };
    });
  }

  /**
   * Inserts unless the id exists or the conversation does not, and returns the row with the id, if any. Times have the
   * milliseconds of replies, so that results keep their order when they are imported elsewhere.
   */
  async #insert(
    id: string,
    hash: string,
    input: NewFiedlerResult,
    stored: PreparedResult["stored"],
  ): Promise<{ created_at: Date; sent_hash: Buffer | null }[]> {
    const { conversation_id = null, follow_to_trash = false } = input;
    return this.#database.retried(async (sql) => {
      await sql`insert into fiedler_results (id, correlation_id, model, prompt, output, tokens_prompt, tokens_completion,
          duration_seconds, status, error_message, metadata, conversation_id, exact, sent_hash, created_at)
        select ${id}::uuid, ${input.correlation_id}, ${input.model}, ${stored.prompt}, ${stored.output},
          ${input.tokens_prompt ?? null}::integer, ${input.tokens_completion ?? null}::integer,
          ${input.duration_seconds ?? null}::real, ${input.status ?? null}, ${stored.errorMessage},
          ${stored.metadata}::text::jsonb, ${conversation_id}::uuid, ${stored.exact}, decode(${hash}, 'hex'),
          date_trunc('milliseconds', coalesce(${input.created_at ?? null}::timestamptz, now()))
        where ${conversation_id}::uuid is null
          or exists (select from conversations where id = ${conversation_id}
            and (deleted_at is null or ${follow_to_trash}))
        on conflict (id) do nothing`;
      return sql`select created_at, sent_hash from fiedler_results where id = ${id}`;
    });
  }
}

/**
 * The condition for a row `r`. Only the given filters are part of the statement, so that each can use its index. Results of
 * conversations in the trash are hidden.
 */
function matching(sql: SQL, { correlation_id, model, status, conversation_id }: ResultFilter) {
  let condition = sql`not exists (select from conversations c where c.id = r.conversation_id and c.deleted_at is not null)`;
  if (correlation_id !== undefined) condition = sql`${condition} and correlation_id = ${correlation_id}`;
  if (model !== undefined) condition = sql`${condition} and model = ${model}`;
  if (status !== undefined) condition = sql`${condition} and status = ${status}`;
  if (conversation_id !== undefined) condition = sql`${condition} and conversation_id = ${conversation_id}`;
  return condition;
}

/** Sizes of the result's values that may have to be cut. */
type Size = Record<CuttableColumn, number> & { id: string };

/** Reads as much of the results as fits into a reply. */
async function read(sql: SQL, sizes: Size[], full: boolean): Promise<FiedlerResult[]> {
  const most = largestWhole(
    sizes.flatMap((size) => [size.prompt, size.output, size.error_message, size.metadata]),
    (full ? FULL_REPLY_BYTES : REPLY_BUDGET_BYTES) - sizes.length * ROW_OVERHEAD_BYTES,
  );
  const ids = sizes.map((size) => size.id);
  const rows: ResultRow[] = await sql`
    select id, correlation_id, model, left(prompt, ${most}::integer) as prompt, left(output, ${most}::integer) as output,
      tokens_prompt, tokens_completion, duration_seconds, status, left(error_message, ${most}::integer) as error_message,
      case when octet_length(metadata::text) <= ${most}::integer then metadata end as metadata, conversation_id,
      created_at, exact
    from fiedler_results where id = any(${sql.array(ids, "UUID")})`;
  const found = new Map(rows.map((row) => [row.id, row]));
  return sizes.flatMap((size) => {
    const row = found.get(size.id);
    return row ? [result(row, size, most)] : [];
  });
}

function result(row: ResultRow, size: Size, most: number): FiedlerResult {
  const { exact, created_at, ...rest } = row;
  const found: FiedlerResult = { ...rest, created_at: created_at.toISOString() };
  if (exact !== null) Object.assign(found, JSON.parse(exact) as Exact);
  const cut = (["prompt", "output", "error_message", "metadata"] as const).filter((column) => size[column] > most);
  if (cut.length === 0) return found;
  found.cut_bytes = Object.fromEntries(cut.map((column) => [column, size[column]]));
  for (const column of cut) {
    if (column === "metadata") found.metadata = null;
    else found[column] = beginning(found[column] ?? "", most).text;
  }
  return found;
}
