import { DeweyError } from "../errors.ts";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";

// Changes a client's `mcpServers`: puts each server behind the proxy and adds Dewey. Both can be undone from the entries
// alone.

/** The command that starts Dewey, and its settings. */
export interface Program {
  command: string[];
  flags: string[];
  /** More flags for the commands that write to the spool. */
  spoolFlags: string[];
}

/** A client's servers, by name. */
export type Servers = Record<string, unknown>;

/** The servers that were put behind the proxy, and those that were not. */
export interface Rewiring {
  proxied: string[];
  direct: { name: string; reason: string }[];
}

/**
 * Pass a remote server's address and headers to the proxy. Many addresses contain keys, and a command line is visible to every
 * user of the machine, an environment only to its own.
 */
const ADDRESS_VARIABLE = "DEWEY_UPSTREAM_URL";
const HEADERS_VARIABLE = "DEWEY_UPSTREAM_HEADERS";
/** Tells the proxy to speak the older transport to an address. */
const SSE_FLAG = "--sse";
/** The name of Dewey's own entry. */
export const DEWEY = "dewey";

/** The reason why a server must stay direct; undefined if it can be put behind the proxy. */
function whyDirect(entry: Json): string | undefined {
  if (typeof entry["command"] === "string") return undefined;
  if (urlOf(entry) === undefined) return "has an entry of an unknown form";
  return isObject(entry["oauth"]) ? "signs in by OAuth, which only the client itself can do" : undefined;
}

/** The address of a remote server, for which Gemini has another field. */
export function urlOf(entry: Json): string | undefined {
  return [entry["httpUrl"], entry["url"]].find((value) => typeof value === "string");
}

/** Whether a remote server is spoken to over the older HTTP+SSE transport. */
export function isSse(entry: Json): boolean {
  if (entry["type"] !== undefined) return entry["type"] === "sse";
  return entry["httpUrl"] === undefined && /\/sse\/?$/.test(urlOf(entry) ?? "");
}

/** The entry that starts the proxy in front of a server. Other fields of the entry are kept. */
function proxied(name: string, entry: Json, program: Program): Json {
  const [command = "", ...before] = program.command;
  const args = [...before, "proxy", "--stdio", "--name", name, ...program.flags, ...program.spoolFlags];
  if (typeof entry["command"] === "string") {
    return { ...entry, command, args: [...args, "--", entry["command"], ...stringsOf(entry["args"])] };
  }
  const { type: _, url: __, httpUrl: ___, headers, env, ...rest } = entry;
  const handed = isObject(headers) ? { [HEADERS_VARIABLE]: JSON.stringify(headers) } : {};
  return {
    ...rest,
    command,
    args: [...args, ...(isSse(entry) ? [SSE_FLAG] : [])],
    env: { ...(isObject(env) ? env : {}), [ADDRESS_VARIABLE]: urlOf(entry), ...handed },
  };
}

/** Whether `dewey connect` has put this server behind the proxy. */
export function isProxied(entry: Json): boolean {
  return proxyArguments(entry) !== undefined;
}

/** The arguments from `--stdio --name NAME` on; undefined for an entry that is not behind the proxy. */
function proxyArguments(entry: Json): string[] | undefined {
  const args = stringsOf(entry["args"]);
  const at = args.indexOf("proxy") + 1;
  return at > 0 && args[at] === "--stdio" && args[at + 1] === "--name" ? args.slice(at) : undefined;
}

/**
 * The entry as it was before it was put behind the proxy; undefined if it is not behind one. Throws `invalid` when its
 * headers cannot be read.
 */
export function unproxied(entry: Json): Json | undefined {
  const args = proxyArguments(entry);
  if (args === undefined) return undefined;
  const terminator = args.indexOf("--");
  if (terminator !== -1) {
    const [command = "", ...rest] = args.slice(terminator + 1);
    const { args: _, ...others } = entry;
    return { ...others, command, ...(rest.length > 0 ? { args: rest } : {}) };
  }
  const { command: _, args: __, env, ...others } = entry;
  const { [HEADERS_VARIABLE]: handed, [ADDRESS_VARIABLE]: address, ...variables } = isObject(env) ? env : {};
  // Earlier versions wrote the address on the command line.
  const url = typeof address === "string" ? address : (args.at(-1) ?? "");
  return {
    ...others,
    type: args.includes(SSE_FLAG) ? "sse" : url.startsWith("ws") ? "ws" : "http",
    url,
    ...(handed === undefined ? {} : { headers: headersOf(handed, args[2] ?? "") }),
    ...(Object.keys(variables).length > 0 ? { env: variables } : {}),
  };
}

function headersOf(handed: unknown, server: string): Json {
  try {
    const headers: unknown = JSON.parse(String(handed));
    if (isObject(headers)) return headers;
  } catch {
    // Reported below.
  }
  const rule = `${HEADERS_VARIABLE} of the server ${JSON.stringify(server)} should be a JSON object of headers`;
  throw new DeweyError("invalid", `${rule}; correct it in the client's file, or remove the server there`);
}

/** Dewey's own entry, which starts a server if none runs. */
function deweyEntry(program: Program): Json {
  const [command, ...before] = program.command;
  return { command, args: [...before, "serve", "--stdio", ...program.flags] };
}

/** Whether `dewey connect` wrote this entry for Dewey itself. */
export function isDeweyEntry(entry: unknown): boolean {
  if (!isObject(entry)) return false;
  const args = stringsOf(entry["args"]);
  return args[args.indexOf("serve") + 1] === "--stdio" && args.includes("serve");
}

function stringsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

/**
 * Puts the wanted servers behind the proxy where that is possible. Rewrites those already behind it, so that they start
 * `program`. `problem` returns a reason against it that only connecting to the server reveals.
 */
export async function withProxy(
  servers: Servers,
  program: Program,
  wanted: (name: string) => boolean,
  problem: (entry: Json) => Promise<string | undefined>,
): Promise<{ servers: Servers } & Rewiring> {
  const outcome: { servers: Servers } & Rewiring = { servers: {}, proxied: [], direct: [] };
  for (const [name, entry] of Object.entries(servers)) {
    outcome.servers[name] = entry;
    if (!isObject(entry) || name === DEWEY || !wanted(name)) continue;
    const before = unproxied(entry);
    const reason = before === undefined ? (whyDirect(entry) ?? (await problem(entry))) : undefined;
    if (reason === undefined) {
      outcome.servers[name] = proxied(name, before ?? entry, program);
      outcome.proxied.push(name);
    } else outcome.direct.push({ name, reason });
  }
  return outcome;
}

/** Adds Dewey to the servers. Another server of that name is kept instead. */
export function withDewey(servers: Servers, program: Program): Servers {
  return DEWEY in servers && !isDeweyEntry(servers[DEWEY]) ? servers : { ...servers, [DEWEY]: deweyEntry(program) };
}

/** The servers without Dewey and the proxy; an entry that the backup has in equivalent form is taken from there. */
export function withoutProxy(servers: Servers, backup: Servers, program: Program): Servers {
  const entries = Object.entries(servers).flatMap(([name, entry]): [string, unknown][] => {
    if (name === DEWEY && isDeweyEntry(entry)) return [];
    const before = isObject(entry) ? unproxied(entry) : undefined;
    if (before === undefined) return [[name, entry]];
    const old = backup[name];
    const same = isObject(old) && Bun.deepEquals(unproxied(proxied(name, old, program)), before);
    return [[name, same ? old : before]];
  });
  return Object.fromEntries(entries);
}
