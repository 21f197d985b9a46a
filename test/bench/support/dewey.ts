import { join } from "node:path";
import type { Connection } from "../../../src/store/database/connection.ts";

/** The PostgreSQL inside the `dewey serve` that has its data in this home. */
export function embeddedConnection(home: string): Connection {
  return { host: join(home, "data/postgres/socket"), port: 5432, user: "dewey", database: "winni" };
}

/** A call of a tool, as a client writes it. */
export function toolFrame(id: number, name: string, args: object): string {
  return JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: args } });
}
