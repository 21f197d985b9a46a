import { DeweyError } from "../../errors.ts";

/**
 * The row of a statement that always returns one: an aggregate, or a `select` without `from`. Bun types rows as `any`, so
 * each statement names its row's type: here, or as `const [row]: Row[] = await …` where there may be none.
 */
export async function one<Row>(rows: Promise<Row[]>): Promise<Row> {
  const [row] = await rows;
  if (row === undefined) throw new DeweyError("internal", "the database returned no row");
  return row;
}
