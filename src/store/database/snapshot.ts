import type { SQL, TransactionSQL } from "bun";

/**
 * Runs reads in one snapshot: each sees the database as it was at the first of them, so that a total and its rows agree
 * whatever is committed in between.
 */
export async function inSnapshot<Result>(sql: SQL, reads: (sql: TransactionSQL) => Promise<Result>): Promise<Result> {
  return sql.begin("isolation level repeatable read read only", reads);
}
