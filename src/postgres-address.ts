import { isIPv6 } from "node:net";
import type { Target, Tls } from "./store/database/connection.ts";

/** The values of `sslmode` and of `target_session_attrs`. */
export const tlsModes: readonly Tls["mode"][] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
export const targets: readonly Target[] = ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"];

/** An address of PostgreSQL as libpq reads it; parts that it does not give are absent. */
export interface PostgresAddress {
  hosts: { host: string; port?: string }[];
  user?: string;
  password?: string;
  database?: string;
  parameters: ReadonlyMap<string, string>;
}

const FORM = /^postgres(?:ql)?:\/\/([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s;

/**
 * Reads `postgres://user:password@host:port,host/database?parameter=value`, where a host may be missing, an IPv6 address in
 * brackets, or the escaped folder of a Unix socket. Undefined for a text that is none. `URL` knows one host only.
 */
export function parsePostgresAddress(text: string): PostgresAddress | undefined {
  const [, authority, path = "", query = ""] = FORM.exec(text) ?? [];
  if (authority === undefined) return undefined;
  const at = authority.lastIndexOf("@");
  const [user, password] = at < 0 ? [] : split(authority.slice(0, at), ":");
  try {
    const parameters = new Map(query === "" ? [] : query.split("&").map(parameter));
    const hosts = [...hostList(authority.slice(at + 1)), ...namedHosts(parameters)].map(({ host, port }) => ({
      host: decodeURIComponent(host),
      ...(port ? { port } : {}),
    }));
    // A password with a slash that is not escaped leaves its beginning here, which no error may name as a host.
    if (hosts.some(({ host }) => host.includes(":") && !host.startsWith("/") && !isIPv6(host))) return undefined;
    return {
      hosts,
      ...given("user", decoded(user) ?? parameters.get("user")),
      ...given("password", decoded(password) ?? parameters.get("password")),
      ...given("database", decoded(path) ?? parameters.get("dbname")),
      parameters,
    };
  } catch {
    return undefined;
  }
}

/** Hosts separated by commas, each with a port or without; an address with several colons is one of IPv6. */
export function hostList(text: string): { host: string; port?: string }[] {
  if (text === "") return [];
  return text.split(",").map((part) => {
    const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d*))?$/.exec(part) ?? [];
    const host = bracketed ?? plain;
    return host === undefined ? { host: part } : { host, ...(port ? { port } : {}) };
  });
}

/** The parameters `host` and `port`, which may have a port for each host, or one for all. */
function namedHosts(parameters: ReadonlyMap<string, string>): { host: string; port?: string }[] {
  const names = parameters.get("host")?.split(",") ?? [];
  const ports = parameters.get("port")?.split(",") ?? [];
  return names.map((host, index) => ({
    host: encodeURIComponent(host),
    ...given("port", ports.length === 1 ? ports[0] : ports[index]),
  }));
}

function parameter(text: string): [string, string] {
  const [name = "", value = ""] = split(text, "=");
  return [decodeURIComponent(name), decodeURIComponent(value)];
}

function split(text: string, separator: string): string[] {
  const index = text.indexOf(separator);
  return index < 0 ? [text] : [text.slice(0, index), text.slice(index + 1)];
}

const decoded = (text: string | undefined): string | undefined => (text ? decodeURIComponent(text) : undefined);

const given = <Name extends string>(name: Name, value: string | undefined) =>
  (value ? { [name]: value } : {}) as Partial<Record<Name, string>>;
