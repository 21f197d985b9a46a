import { DeweyError, asDeweyError } from "../../errors.ts";
import { parseJsonc } from "../../jsonc.ts";
import type { Log } from "../../log.ts";
import { isObject } from "../../wire/frame.ts";
import type { Json } from "../../wire/frame.ts";
import { dialHttp } from "../../wire/http.ts";
import type { HttpDialOptions } from "../../wire/http.ts";
import type { Link } from "../../wire/link.ts";
import { requireOwnServer } from "../../wire/owner.ts";
import { dialSse } from "../../wire/sse-link.ts";
import { spawnStdio } from "../../wire/stdio.ts";
import type { StandIn } from "../../wire/stdio.ts";
import { dialWebSocket } from "../../wire/websocket.ts";
import { readEntry, schemeWire } from "./upstream-entry.ts";

/** How much of an upstream's sessions is recorded: calls (what is said and done), every frame, or nothing. */
export type RecordMode = "calls" | "all" | "none";

interface UpstreamCommon {
  name: string;
  record: RecordMode;
  /** Whether it is the person's own Dewey server, which has to run as their user: no token proves it. */
  own?: true;
}

/** A server behind the proxy. */
export type Upstream = UpstreamCommon &
  (
    | { wire: "stdio"; command: string; args: string[]; env: Record<string, string>; cwd: string | undefined }
    | {
        wire: "websocket" | "http" | "sse";
        url: string;
        headers: Record<string, string>;
        /** Whether clients sign in to it themselves: their Authorization is forwarded. Only from HTTP to HTTP. */
        forwardAuthorization?: boolean;
      }
  );

/** A server behind the proxy that has an address. */
export type RemoteUpstream = Upstream & { wire: "websocket" | "http" | "sse" };

/** The servers behind a proxy by name, and the default for clients that name none. */
export interface Upstreams {
  byName: ReadonlyMap<string, Upstream>;
  defaultName: string | undefined;
  /** Entries that cannot be used, by name, with their mistakes. */
  wrong?: ReadonlyMap<string, string>;
  /** Every mistake in the configuration, in one text. */
  mistakes?: string | undefined;
  /** What was ignored. */
  warnings?: readonly string[];
}

/** Values that the upstream configuration may refer to. */
export interface UpstreamContext {
  /** The environment for `${VAR}` and for child processes, without Dewey's own settings. */
  env: Record<string, string>;
  /** The Dewey server. Only its own entry sends the token. */
  dewey: { url: string; token?: string | undefined };
}

/** The keys under which clients keep their servers: most of them, and VS Code. */
const SERVER_KEYS = ["mcpServers", "servers"];
/** Other known keys: the proxy's own one, and those of editors. */
const OTHER_KEYS = new Set(["default", "$schema"]);

/**
 * Parses upstreams in the clients' own form, of which there are several: `mcpServers` or VS Code's `servers`, JSON with
 * comments. A wrong entry is left out and named in `mistakes`, unknown keys in `warnings`. Throws one `invalid` error that
 * lists every mistake when nothing in the file can be used.
 */
export function parseUpstreams(text: string, source: string, context: UpstreamContext): Upstreams {
  const file = parseFile(text, source);
  const keys = SERVER_KEYS.filter((key) => key in file);
  if (keys.length === 0) throw configError(source, ["should have the key mcpServers"]);
  const mistakes: string[] = [];
  const unknown = Object.keys(file).filter((key) => !SERVER_KEYS.includes(key) && !OTHER_KEYS.has(key));
  const byName = new Map<string, Upstream>();
  const wrong = new Map<string, string>();
  for (const { key, name, entry } of keys.flatMap((each) => entriesOf(file, each, mistakes))) {
    const path = `${key}.${name}`;
    const read = readEntry(name, entry, context.env);
    unknown.push(...read.unknownKeys.map((field) => `${path}.${field}`));
    const lines = read.mistakes.map((line) => (line.startsWith("should") ? `${path} ${line}` : `${path}.${line}`));
    if (read.upstream) byName.set(name, read.upstream);
    else if (lines.length > 0) wrong.set(name, lines.join("; "));
    mistakes.push(...lines);
  }
  const defaultName = defaultOf(file, byName, mistakes);
  if (mistakes.length > 0 && byName.size === 0) throw configError(source, mistakes);
  return {
    byName,
    defaultName,
    wrong,
    mistakes: mistakes.length === 0 ? undefined : configError(source, mistakes).message,
    warnings: unknown.map((key) => `${source} has the unknown key ${key}, which is ignored`),
  };
}

function parseFile(text: string, source: string): Json {
  let file: unknown;
  try {
    file = parseJsonc(text);
  } catch (error) {
    throw configError(source, [`is not JSON: ${(error as Error).message}`]);
  }
  if (!isObject(file)) throw configError(source, ["should be an object with the key mcpServers"]);
  return file;
}

function entriesOf(file: Json, key: string, mistakes: string[]): { key: string; name: string; entry: unknown }[] {
  const servers = file[key];
  if (!isObject(servers)) {
    mistakes.push(`${key} should be an object of servers by name`);
    return [];
  }
  if ("" in servers) mistakes.push(`${key} should have a name for each server`);
  return Object.entries(servers).flatMap(([name, entry]) => (name === "" ? [] : [{ key, name, entry }]));
}

function defaultOf(file: Json, byName: Map<string, Upstream>, mistakes: string[]): string | undefined {
  const { default: name } = file;
  if (name === undefined) return byName.size === 1 ? [...byName.keys()][0] : undefined;
  if (typeof name === "string" && byName.has(name)) return name;
  mistakes.push(`default should be one of the servers: ${[...byName.keys()].join(", ")}`);
  return undefined;
}

/** The upstreams when there is no file: the orchestrator Fiedler, and Dewey itself. */
export function defaultUpstreams(context: UpstreamContext): Upstreams {
  const { url, token } = context.dewey;
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return {
    byName: new Map<string, Upstream>([
      ["fiedler", { name: "fiedler", wire: "websocket", url: "ws://fiedler:9010", headers: {}, record: "calls" }],
      // Calls of Dewey's own tools are not recorded, or every search would find the searches before it.
      [
        "dewey",
        {
          name: "dewey",
          wire: "websocket",
          url,
          headers,
          record: "none",
          ...(token === undefined ? { own: true } : {}),
        },
      ],
    ]),
    defaultName: "fiedler",
  };
}

/** An upstream given on the command line: a URL, whose wire may be named, or a command with arguments. */
export function commandLineUpstream(
  words: string[],
  context: UpstreamContext,
  headers: Record<string, string> = {},
  wire?: "sse",
): Upstream {
  const [first = "", ...args] = words;
  if (args.length === 0 && /^(ws|http)s?:\/\//.test(first)) {
    return {
      name: URL.parse(first)?.host ?? first,
      wire: wire ?? schemeWire(first),
      url: first,
      headers,
      record: "calls",
    };
  }
  const name = first.split("/").at(-1) ?? first;
  return { name, wire: "stdio", command: first, args, env: context.env, cwd: undefined, record: "calls" };
}

/** Connects to an upstream. Throws `unavailable`, or `not_found` for a missing command; the message names the upstream and the reason. */
export async function dialUpstream(
  upstream: Upstream,
  log: Log,
  { standIn, sawStream }: { standIn?: StandIn | undefined; sawStream?: HttpDialOptions["sawStream"] } = {},
): Promise<Link> {
  try {
    if (upstream.wire === "stdio") return spawnStdio({ ...upstream, log, standIn });
    if (upstream.wire === "http")
      return await dialHttp({ url: upstream.url, headers: upstream.headers, log, sawStream });
    if (upstream.wire === "sse") return await dialSse({ url: upstream.url, headers: upstream.headers, log });
    const link = await dialWebSocket({ url: upstream.url, headers: upstream.headers });
    if (upstream.own) requireOwnServer({ url: upstream.url, token: undefined }, link);
    return link;
  } catch (cause) {
    const { code, message: reason } = asDeweyError(cause);
    throw new DeweyError(code, `the upstream ${upstream.name} is not available: ${reason}`, { cause });
  }
}

function configError(source: string, problems: string[]): DeweyError {
  return new DeweyError(
    "invalid",
    `The upstream configuration ${source} is invalid:\n${problems.map((line) => `  ${line}`).join("\n")}`,
  );
}
