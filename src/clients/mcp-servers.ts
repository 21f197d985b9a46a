import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";

// What is done to a client's `mcpServers`: each server's entry is put behind the proxy, Dewey's own is added, and both can
// be undone from the entries alone.

/** How Dewey is started, and the settings that it is to be started with. */
export interface Program {
  command: string[];
  flags: string[];
  /** For the commands that write to the spool. */
  spoolFlags: string[];
}

/** A client's servers, by name. */
export type Servers = Record<string, unknown>;

/** What was done with a client's servers. */
export interface Rewiring {
  proxied: string[];
  direct: { name: string; reason: string }[];
}

/** Where the headers of a server that is reached by its address are handed over: the client keeps them out of sight there. */
const HEADERS_VARIABLE = "DEWEY_UPSTREAM_HEADERS";
/** The name under which Dewey itself is connected. */
export const DEWEY = "dewey";

/** Why a server stays as it is; undefined when it can be put behind the proxy. */
function whyDirect(entry: Json): string | undefined {
  if (typeof entry["command"] === "string") return undefined;
  const url = urlOf(entry);
  if (url === undefined) return "is of a form that is not known";
  if (
    entry["type"] === "sse" ||
    (entry["type"] === undefined && entry["httpUrl"] === undefined && /\/sse\/?$/.test(url))
  )
    return "speaks the older SSE, which is not relayed";
  return isObject(entry["oauth"]) ? "signs in by OAuth, which only the client itself can do" : undefined;
}

/** The address of a server that is reached by one. Gemini has it under another name. */
export function urlOf(entry: Json): string | undefined {
  return [entry["httpUrl"], entry["url"]].find((value) => typeof value === "string");
}

/** The entry that starts the proxy in front of a server. What else the entry says stays. */
function proxied(name: string, entry: Json, program: Program): Json {
  const [command = "", ...before] = program.command;
  const args = [...before, "proxy", "--stdio", "--name", name, ...program.flags, ...program.spoolFlags];
  if (typeof entry["command"] === "string") {
    return { ...entry, command, args: [...args, "--", entry["command"], ...stringsOf(entry["args"])] };
  }
  const { type: _, url: __, httpUrl: ___, headers, env, ...rest } = entry;
  const handed = isObject(headers) ? { [HEADERS_VARIABLE]: JSON.stringify(headers) } : {};
  const variables = { ...(isObject(env) ? env : {}), ...handed };
  return {
    ...rest,
    command,
    args: [...args, urlOf(entry)],
    ...(Object.keys(variables).length > 0 ? { env: variables } : {}),
  };
}

/** What an entry was before it was put behind the proxy; undefined when it is not. */
export function unproxied(entry: Json): Json | undefined {
  const args = stringsOf(entry["args"]);
  const at = args.indexOf("proxy");
  if (at === -1 || args[at + 1] !== "--stdio" || args[at + 2] !== "--name") return undefined;
  const terminator = args.indexOf("--", at);
  if (terminator !== -1) {
    const [command = "", ...rest] = args.slice(terminator + 1);
    const { args: _, ...others } = entry;
    return { ...others, command, ...(rest.length > 0 ? { args: rest } : {}) };
  }
  const { command: _, args: __, env, ...others } = entry;
  const { [HEADERS_VARIABLE]: handed, ...variables } = isObject(env) ? env : {};
  const url = args.at(-1) ?? "";
  return {
    ...others,
    type: url.startsWith("ws") ? "ws" : "http",
    url,
    ...(typeof handed === "string" ? { headers: JSON.parse(handed) as unknown } : {}),
    ...(Object.keys(variables).length > 0 ? { env: variables } : {}),
  };
}

/** Dewey's own entry: it starts a server when none runs. */
function deweyEntry(program: Program): Json {
  const [command, ...before] = program.command;
  return { command, args: [...before, "serve", "--stdio", ...program.flags] };
}

/** Whether an entry is one that we have written for Dewey itself. */
function isDeweyEntry(entry: unknown): boolean {
  if (!isObject(entry)) return false;
  const args = stringsOf(entry["args"]);
  return args[args.indexOf("serve") + 1] === "--stdio" && args.includes("serve");
}

function stringsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

/**
 * The servers put behind the proxy, as far as they can be and are wanted. Those that are there already are written anew, so
 * that they start the program that is meant now. `problem` looks at what only trying shows.
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

/** The servers with Dewey among them. An entry of that name that is not ours stays. */
export function withDewey(servers: Servers, program: Program): Servers {
  return DEWEY in servers && !isDeweyEntry(servers[DEWEY]) ? servers : { ...servers, [DEWEY]: deweyEntry(program) };
}

/** The servers as they were before; where a backup says the same of one, in the backup's very words. */
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
