import { mkdtempSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Connection } from "../../src/store/database/connection.ts";

/** An address that leads to one PostgreSQL or another, as that of a balancer does. */
export interface SwitchedAddress extends Disposable {
  connection: Connection;
  /** Leads new connections to another PostgreSQL. */
  switchTo(other: Connection): void;
}

/** A folder with a link to the socket of a PostgreSQL. */
export function switchedAddress(first: Connection): SwitchedAddress {
  const folder = mkdtempSync(join(tmpdir(), "dewey-switched-"));
  const name = `.s.PGSQL.${first.port}`;
  const switchTo = ({ host }: Connection) => {
    symlinkSync(join(host, name), join(folder, "next"));
    renameSync(join(folder, "next"), join(folder, name));
  };
  switchTo(first);
  return {
    connection: { ...first, host: folder },
    switchTo,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
