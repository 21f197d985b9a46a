import type { SQL } from "bun";
import { DeweyError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Database } from "./database.ts";
import { one } from "./one.ts";

interface Facts {
  database: string;
  role: string;
  encoding: string;
  ctype: string;
  is_libc: boolean;
  standby: boolean;
  read_only: boolean;
}

/** The locales of libc in which letters beyond ASCII are none. */
const ASCII_ONLY = new Set(["C", "POSIX"]);

/**
 * Looks at a database before it is used. Throws, with the remedy, for what Dewey cannot work with, which would otherwise show
 * later and in other words.
 */
export async function inspect(database: Database, log: Log): Promise<void> {
  const facts = await database.retried((sql) =>
    one<Facts>(sql`select current_database() as database, current_user as role,
      current_setting('server_encoding') as encoding, datctype as ctype, datlocprovider = 'c' as is_libc,
      pg_is_in_recovery() as standby, current_setting('transaction_read_only') = 'on' as read_only
      from pg_database where datname = current_database()`),
  );
  if (facts.encoding !== "UTF8") {
    const remedy = `create database ${facts.database} encoding 'UTF8' template template0`;
    throw new DeweyError(
      "conflict",
      `the database ${facts.database} has the encoding ${facts.encoding}, and Dewey needs UTF8; make another: ${remedy}`,
    );
  }
  if (database.isPooled)
    log.info("a pooler stands before the database: every statement runs in a transaction, none is prepared");
  if (facts.read_only) throw new DeweyError("unavailable", readOnlyMessage(facts));
  if (facts.is_libc && ASCII_ONLY.has(facts.ctype)) {
    log.warn("the database knows no letters beyond ASCII, so upper and lower case of others differ in search", {
      database: facts.database,
      ctype: facts.ctype,
      hint: "make another with a locale such as C.UTF-8, and move with dewey backup and dewey recover",
    });
  }
}

function readOnlyMessage({ database, role, standby }: Facts): string {
  if (standby) {
    return "the database accepts no writes: it is a standby; give the address of its primary, or all hosts, as in postgres://a,b/db";
  }
  return (
    `the database accepts no writes: default_transaction_read_only is on for ${role} or ${database};` +
    ` switch it off: alter role ${role} reset default_transaction_read_only`
  );
}

/** Throws `unauthorized` when the role may not make the tables. */
export async function refuseWithoutCreate(sql: SQL): Promise<void> {
  const { schema, role, may } = await one<{ schema: string | null; role: string; may: boolean | null }>(
    sql`select current_schema() as schema, current_user as role,
      has_schema_privilege(current_schema(), 'create') as may`,
  );
  if (may === true) return;
  const where = schema ?? "public";
  throw new DeweyError(
    "unauthorized",
    `the database does not let ${role} make tables in the schema ${where}; allow it: grant create, usage on schema ${where} to ${role}`,
  );
}
