import type { SQL } from "bun";
import type { Connection } from "../../src/store/database/connection.ts";
import type { Meaning } from "../../src/store/meaning/meaning.ts";
import type { SearchHit } from "../../src/store/search/search-hit.ts";
import type { SearchReply, SearchRequest } from "../../src/store/search/search.ts";
import type { Store, StoreOptions } from "../../src/store/store.ts";
import type { TestEndpoint } from "./embeddings-endpoint.ts";
import { connect, emptyDatabase, testStore } from "./postgres.ts";
import type { Engine } from "./postgres.ts";
import { until } from "./rpc.ts";

/** A store that searches by meaning, with a look at its tables. */
export interface MeaningStore extends AsyncDisposable {
  store: Store;
  meaning: Meaning;
  sql: SQL;
  connection: Connection;
  /** Embeds until nothing is left, and stops. */
  embed(): Promise<void>;
  find(query: string, options?: Partial<SearchRequest>): Promise<SearchReply>;
}

/** Opens a store on a database of its own, or on that of `options`. */
export async function meaningStore(
  engine: Engine,
  endpoint: Pick<TestEndpoint, "url">,
  { model = "test-embed", ...options }: Partial<StoreOptions> & { model?: string } = {},
): Promise<MeaningStore> {
  const connection = options.connection ?? (await emptyDatabase(engine));
  const embeddings = { url: endpoint.url, model };
  const store = await testStore(engine, { embeddings, ...options, connection });
  const sql = connect(connection);
  const { meaning } = store;
  if (!meaning) throw new Error("the store does not search by meaning");
  return {
    store,
    meaning,
    sql,
    connection,
    async embed() {
      const stopping = new AbortController();
      const kept = meaning.keep(stopping.signal);
      await until("every message has its vectors", () => isEmbedded(sql, model));
      stopping.abort();
      await kept;
      await meaning.look();
    },
    find: (query, request = {}) => store.search.find({ query, limit: 20, offset: 0, ...request }),
    async [Symbol.asyncDispose]() {
      await sql.close();
      await store.close();
    },
  };
}

/** Whether every message has the model's vectors, and no other model's are left. */
export async function isEmbedded(sql: SQL, model: string): Promise<boolean> {
  const [row]: { is: boolean }[] = await sql`
    select not exists (select from dewey_meaning_queue)
      and exists (select from dewey_meaning_models where name = ${model} and completed_at is not null)
      and not exists (select from dewey_meaning_models where name <> ${model})
      and not exists (
        select from messages m where not bookkeeping and role in ('user', 'assistant', 'tool') and content ~ '\\S'
          and not exists (select from dewey_meaning_passages p where p.message_id = m.id)
      ) as is`;
  return row?.is === true;
}

/** Passages that are there twice: none should be. */
export async function embeddedTwice(sql: SQL): Promise<number> {
  const rows: unknown[] = await sql`
    select from dewey_meaning_passages group by model, message_id, starts_at having count(*) > 1`;
  return rows.length;
}

/** Contents of the hits, and what found each. */
export function foundBy({ results }: SearchReply): [string, SearchHit["found_by"]][] {
  return results.map((hit) => [hit.content, hit.found_by]);
}
