import { tables } from "../../src/store/backup/backup.ts";
import type { Connection } from "../../src/store/database/connection.ts";
import { connect } from "./postgres.ts";

/** Every row of every table as PostgreSQL prints it, without `stored_in`, which is specific to the cluster. */
export async function everyRow(connection: Connection): Promise<Record<string, string[]>> {
  await using sql = connect(connection);
  const rows: Record<string, string[]> = {};
  for (const table of tables) {
    const found: { text: string }[] = await sql.unsafe(
      `select md5(line) || left(line, 300) as text
        from (select (to_jsonb(t) - 'stored_in')::text as line from ${table} t) as lines order by 1`,
    );
    rows[table] = found.map((row) => row.text);
  }
  return rows;
}
