import type { SQL, TransactionSQL } from "bun";

// A pooler such as PgBouncer lends the sessions of a few connections to many clients, in its transaction mode for the length
// of a transaction. So a session keeps nothing of ours: neither settings nor prepared statements, whose names would be those
// of other clients' statements. Here everything runs in transactions, each with its settings.

const poolers = new WeakSet<SQL>();

type Work<Result> = (sql: TransactionSQL) => Promise<Result>;

/** A connection through a pooler, which must not prepare statements. `settings` hold in each of its transactions. */
export function throughPooler(sql: SQL, settings: Record<string, number | string>): SQL {
  const local = Object.entries(settings).map(([name, value]) => `set local ${name} = '${value}'`);
  const begin = <Result>(...given: [Work<Result>] | [string, Work<Result>]): Promise<Result> => {
    const work = given.at(-1) as Work<Result>;
    const within: Work<Result> = async (transaction) => {
      if (local.length > 0) await transaction.unsafe(local.join("; ")).simple();
      return work(transaction);
    };
    return given.length === 1 ? sql.begin(within) : sql.begin(given[0], within);
  };
  const statement = (texts: TemplateStringsArray, ...values: unknown[]) =>
    begin<unknown>((transaction) => transaction(texts, ...values));
  const facade = Object.assign(statement, {
    begin,
    unsafe: (text: string, values?: unknown[]) => begin<unknown>((transaction) => transaction.unsafe(text, values)),
    close: sql.close.bind(sql),
  }) as unknown as SQL;
  poolers.add(facade);
  return facade;
}

export function isThroughPooler(sql: SQL): boolean {
  return poolers.has(sql);
}

/** Runs statements on a connection, behind a pooler in one transaction. */
export function statementsOn<Result>(sql: SQL, statements: (sql: SQL) => Promise<Result>): Promise<Result> {
  if (!isThroughPooler(sql)) return statements(sql);
  return sql.begin((transaction) => {
    // Work that begins a transaction of its own has one already.
    const within = Object.assign(transaction, { begin: (work: Work<Result>) => work(transaction) });
    return statements(within);
  });
}
