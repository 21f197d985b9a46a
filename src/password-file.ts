import { statSync } from "node:fs";
import { readPlainFile } from "./plain-file.ts";
import { isSocket } from "./postgres-host.ts";
import type { Login } from "./store/database/connection.ts";

/** Permissions of group and others, with which libpq does not trust the file either. */
const OTHERS = 0o077;

/**
 * The password for a login in a file of libpq's form (`~/.pgpass`): a line is `host:port:database:user:password`, where `*`
 * fits everything, a backslash escapes, and `localhost` stands for the folder of a Unix socket. Undefined where there is none,
 * or where others may read the file.
 */
export function passwordFor(file: string, login: Login): string | undefined {
  try {
    if ((statSync(file).mode & OTHERS) !== 0) return undefined;
    const wanted = [isSocket(login.host) ? "localhost" : login.host, `${login.port}`, login.database, login.user];
    for (const line of readPlainFile(file).split(/\r?\n/)) {
      const [host, port, database, user, password] = line.startsWith("#") ? [] : fieldsOf(line);
      const fits = [host, port, database, user].every((field, index) => field === "*" || field === wanted[index]);
      if (fits && password !== undefined) return password;
    }
    return undefined;
  } catch {
    return undefined;
  }
}

/** The fields of a line, without their escapes. */
function fieldsOf(line: string): string[] {
  const fields: string[] = [];
  let field = "";
  for (let index = 0; index < line.length; index += 1) {
    if (line[index] === ":" && fields.length < 4) {
      fields.push(field);
      field = "";
      continue;
    }
    if (line[index] === "\\" && index + 1 < line.length) index += 1;
    field += line[index];
  }
  return [...fields, field];
}
