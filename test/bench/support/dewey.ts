import { join } from "node:path";
import type { Connection } from "../../../src/store/database/connection.ts";

/** The embedded PostgreSQL of the `dewey serve` with its data in this home. */
export function embeddedConnection(home: string): Connection {
  return { host: join(home, "data/postgres/socket"), port: 5432, user: "dewey", database: "dewey" };
}

/** A frame that calls a tool. */
export function toolFrame(id: number, name: string, args: object): string {
  return JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: args } });
}
