import { DeweyError } from "../errors.ts";
import { notFound } from "./conversations.ts";
import { sqlState } from "./database.ts";
import type { Database } from "./database.ts";
import { sentHash, storableMetadata, storableText } from "./exact.ts";
import type { Metadata } from "./exact.ts";
import { EXACT_TOTAL_LIMIT, boundedTotal } from "./reply.ts";

/** What one model answered in one orchestration. */
export interface FiedlerResult {
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
}

export interface NewFiedlerResult {
  correlation_id: string;
  model: string;
  output: string;
  /** A UUID of the caller's: the same result with the same id again stores nothing. */
  result_id?: string | undefined;
  prompt?: string | undefined;
  tokens_prompt?: number | undefined;
  tokens_completion?: number | undefined;
  duration_seconds?: number | undefined;
  status?: string | undefined;
  error_message?: string | undefined;
  metadata?: Metadata | undefined;
  conversation_id?: string | undefined;
}

/** The values that PostgreSQL cannot hold as they are, by their column. */
type Exact = Partial<Pick<FiedlerResult, "output" | "prompt" | "error_message" | "metadata">>;

interface ResultRow extends Omit<FiedlerResult, "created_at"> {
  created_at: Date;
  exact: string | null;
  sent_hash: Buffer | null;
}

/** Orchestration results: one row a model. */
export class Results {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Throws `not_found` for the conversation and `conflict` for an id that is taken by another result. */
  async store(input: NewFiedlerResult): Promise<{ id: string; created_at: string }> {
    const id = input.result_id?.toLowerCase() ?? Bun.randomUUIDv7();
    const hash = sentHash({ ...input, result_id: id });
    const stored = storable(input);
    const [row] = await this.#insert(id, hash, input, stored);
    if (!row) throw new DeweyError("internal", "the result was stored but its answer is missing");
    if (row.sent_hash?.toString("hex") !== hash) {
      throw new DeweyError("conflict", `result_id ${id} is taken by another result; give each its own`, {
        field: "result_id",
      });
    }
    return { id, created_at: row.created_at.toISOString() };
  }

  async find(input: {
    correlation_id?: string | undefined;
    model?: string | undefined;
    status?: string | undefined;
    conversation_id?: string | undefined;
    limit: number;
    offset: number;
  }): Promise<{ results: FiedlerResult[]; total: number; limit: number; offset: number; total_is_lower_bound?: true }> {
    const { limit, offset } = input;
    const [rows, [count]] = await this.#database.repeatable((sql) => {
      // A result of a conversation in the trash is hidden with it.
      const filter = sql`(${input.correlation_id ?? null}::text is null or r.correlation_id = ${input.correlation_id ?? null})
        and (${input.model ?? null}::text is null or r.model = ${input.model ?? null})
        and (${input.status ?? null}::text is null or r.status = ${input.status ?? null})
        and (${input.conversation_id ?? null}::uuid is null or r.conversation_id = ${input.conversation_id ?? null})
        and not exists (select from conversations c where c.id = r.conversation_id and c.deleted_at is not null)`;
      return Promise.all([
        sql`select r.* from fiedler_results r where ${filter}
          order by r.created_at desc, r.id desc limit ${limit} offset ${offset}`,
        sql`select count(*)::integer as total
          from (select from fiedler_results r where ${filter} limit ${EXACT_TOTAL_LIMIT + 1}) as counted`,
      ]);
    });
    return { results: rows.map(result), ...boundedTotal(count.total), limit, offset };
  }

  /** Inserts unless the id is there, and answers the row that is there then. */
  async #insert(
    id: string,
    hash: string,
    input: NewFiedlerResult,
    stored: ReturnType<typeof storable>,
  ): Promise<{ created_at: Date; sent_hash: Buffer | null }[]> {
    try {
      return await this.#database.repeatable(async (sql) => {
        await sql`insert into fiedler_results (id, correlation_id, model, prompt, output, tokens_prompt, tokens_completion,
            duration_seconds, status, error_message, metadata, conversation_id, exact, sent_hash)
          values (${id}, ${input.correlation_id}, ${input.model}, ${stored.prompt}, ${stored.output},
            ${input.tokens_prompt ?? null}, ${input.tokens_completion ?? null}, ${input.duration_seconds ?? null},
            ${input.status ?? null}, ${stored.errorMessage}, ${stored.metadata}::text::jsonb,
            ${input.conversation_id ?? null}, ${stored.exact}, decode(${hash}, 'hex'))
          on conflict (id) do nothing`;
        return sql`select created_at, sent_hash from fiedler_results where id = ${id}`;
      });
    } catch (error) {
      // 23503: the conversation that the row refers to is not there.
      if (sqlState((error as Error).cause) === "23503") throw notFound(input.conversation_id ?? "");
      throw error;
    }
  }
}

function storable(input: NewFiedlerResult) {
  const output = storableText(input.output);
  const prompt = input.prompt === undefined ? undefined : storableText(input.prompt);
  const errorMessage = input.error_message === undefined ? undefined : storableText(input.error_message);
  const metadata = storableMetadata(input.metadata);
  const exact: Exact = {
    ...(output.exact === null ? {} : { output: input.output }),
    ...(prompt?.exact ? { prompt: input.prompt ?? null } : {}),
    ...(errorMessage?.exact ? { error_message: input.error_message ?? null } : {}),
    ...(metadata.exact === null ? {} : { metadata: input.metadata ?? null }),
  };
  return {
    output: output.readable,
    prompt: prompt?.readable ?? null,
    errorMessage: errorMessage?.readable ?? null,
    metadata: metadata.readable,
    exact: Object.keys(exact).length === 0 ? null : JSON.stringify(exact),
  };
}

function result(row: ResultRow): FiedlerResult {
  const { exact, sent_hash: _, created_at, ...rest } = row;
  const found: FiedlerResult = { ...rest, created_at: created_at.toISOString() };
  return exact === null ? found : Object.assign(found, JSON.parse(exact) as Exact);
}
