import { z } from "zod";
import { DeweyError, asDeweyError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { dialHttp } from "../../wire/http.ts";
import type { Link } from "../../wire/link.ts";
import { spawnStdio } from "../../wire/stdio.ts";
import { dialWebSocket } from "../../wire/websocket.ts";

/** What is recorded of an upstream's sessions: its tool calls, every frame, or nothing. */
export type RecordMode = "calls" | "all" | "none";

interface UpstreamCommon {
  name: string;
  record: RecordMode;
}

/** A server behind the proxy. */
export type Upstream = UpstreamCommon &
  (
    | { wire: "stdio"; command: string; args: string[]; env: Record<string, string>; cwd: string | undefined }
    | { wire: "websocket" | "http"; url: string; headers: Record<string, string> }
  );

/** The servers that a proxy knows, by name, and the one that is meant when none is named. */
export interface Upstreams {
  byName: ReadonlyMap<string, Upstream>;
  defaultName: string | undefined;
}

/** What the configuration of upstreams may refer to. */
export interface UpstreamContext {
  /** For `${VAR}` in headers, and for the children: without Dewey's own settings. */
  env: Record<string, string>;
  /** Where Dewey is. Its own entry shows its token there, and nowhere else. */
  dewey: { url: string; token?: string | undefined };
}

const record = z.enum(["calls", "all", "none"], "should be calls, all or none").optional();
const strings = z.record(z.string(), z.string("should be a text"));

const command = z.strictObject({
  type: z.literal("stdio").optional(),
  command: z.string().min(1, "should not be empty"),
  args: z.array(z.string("should be a text")).default([]),
  env: strings.default({}),
  cwd: z.string().optional(),
  record,
});

const address = z.strictObject({
  type: z
    .enum(
      ["ws", "http", "streamable-http"],
      "should be ws or http (the older sse is not supported: most servers offer http too)",
    )
    .optional(),
  url: z.string().refine((url) => URL.canParse(url), "should be an address"),
  headers: strings.default({}),
  record,
});

const file = z.strictObject({
  mcpServers: z.record(z.string().min(1), z.unknown()),
  default: z.string().optional(),
});

/**
 * Reads the clients' own `mcpServers` form. Throws one `invalid` error that names every mistake with its path.
 */
export function parseUpstreams(text: string, source: string, context: UpstreamContext): Upstreams {
  const problems: string[] = [];
  const parsed = file.safeParse(parseJson(text, source));
  if (!parsed.success) throw configError(source, parsed.error.issues.map(issueLine));
  const entries = Object.entries(parsed.data.mcpServers).map(([name, entry]) =>
    upstream(name, entry, context, problems),
  );
  const byName = new Map(entries.flatMap((entry) => (entry ? [[entry.name, entry]] : [])));
  const defaultName = parsed.data.default;
  if (defaultName !== undefined && !(defaultName in parsed.data.mcpServers)) {
    problems.push(`default should be one of the servers: ${Object.keys(parsed.data.mcpServers).join(", ")}`);
  }
  if (problems.length > 0) throw configError(source, problems);
  return { byName, defaultName: defaultName ?? (byName.size === 1 ? [...byName.keys()][0] : undefined) };
}

/** What there is without a file: the prototype's orchestrator, and Dewey itself. */
export function defaultUpstreams(context: UpstreamContext): Upstreams {
  const { url, token } = context.dewey;
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return {
    byName: new Map<string, Upstream>([
      ["fiedler", { name: "fiedler", wire: "websocket", url: "ws://fiedler:9010", headers: {}, record: "calls" }],
      // Searching is not recorded as conversation, or every search would find the searches before it.
      ["dewey", { name: "dewey", wire: "websocket", url, headers, record: "none" }],
    ]),
    defaultName: "fiedler",
  };
}

/** An upstream that the command line names: an address, or a command and its arguments. */
export function commandLineUpstream(
  words: string[],
  context: UpstreamContext,
  headers: Record<string, string> = {},
): Upstream {
  const [first = "", ...args] = words;
  if (args.length === 0 && /^(ws|http)s?:\/\//.test(first)) {
    return { name: URL.parse(first)?.host ?? first, wire: wireOf(first), url: first, headers, record: "calls" };
  }
  const name = first.split("/").at(-1) ?? first;
  return { name, wire: "stdio", command: first, args, env: context.env, cwd: undefined, record: "calls" };
}

/** Connects to an upstream. Throws `unavailable`, or `not_found` for a command that there is not, naming it and the reason. */
export async function dialUpstream(upstream: Upstream, log: Log): Promise<Link> {
  try {
    if (upstream.wire === "stdio") return spawnStdio({ ...upstream, log });
    if (upstream.wire === "http") return await dialHttp({ url: upstream.url, headers: upstream.headers, log });
    return await dialWebSocket({ url: upstream.url, headers: upstream.headers });
  } catch (cause) {
    const { code, message: reason } = asDeweyError(cause);
    throw new DeweyError(code, `the upstream ${upstream.name} is not available: ${reason}`, { cause });
  }
}

function upstream(name: string, entry: unknown, context: UpstreamContext, problems: string[]): Upstream | undefined {
  const isCommand = typeof entry === "object" && entry !== null && "command" in entry;
  const parsed = isCommand ? command.safeParse(entry) : address.safeParse(entry);
  if (!parsed.success) {
    problems.push(...parsed.error.issues.map((issue) => `mcpServers.${name}.${issueLine(issue)}`));
    return undefined;
  }
  const expand = (record: Record<string, string>, field: string) =>
    Object.fromEntries(
      Object.entries(record).map(([key, value]) => [
        key,
        expandVariables(value, context.env, `mcpServers.${name}.${field}.${key}`, problems),
      ]),
    );
  const recordMode = parsed.data.record ?? (name === "dewey" ? "none" : "calls");
  if ("command" in parsed.data) {
    const { args, cwd } = parsed.data;
    const env = { ...context.env, ...expand(parsed.data.env, "env") };
    return { name, wire: "stdio", command: parsed.data.command, args, env, cwd, record: recordMode };
  }
  const { url, type } = parsed.data;
  const wire = type === undefined ? wireOf(url) : type === "ws" ? "websocket" : "http";
  return { name, wire, url, headers: expand(parsed.data.headers, "headers"), record: recordMode };
}

/** By the address's scheme: people leave the type out. */
function wireOf(url: string): "websocket" | "http" {
  return url.startsWith("ws") ? "websocket" : "http";
}

/** `${VAR}`, and `${VAR:-default}` as the clients' own files have it. */
function expandVariables(value: string, env: Record<string, string>, path: string, problems: string[]): string {
  return value.replace(
    /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g,
    (_, name: string, fallback: string | undefined) => {
      const found = env[name] ?? fallback;
      if (found === undefined) problems.push(`${path} refers to the variable ${name}, which is not set`);
      return found ?? "";
    },
  );
}

function parseJson(text: string, source: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw configError(source, [`is not JSON: ${(error as Error).message}`]);
  }
}

function issueLine(issue: { path: PropertyKey[]; message: string; keys?: string[] }): string {
  return `${issue.path.map(String).join(".")} ${issue.message}`.trim();
}

function configError(source: string, problems: string[]): DeweyError {
  return new DeweyError(
    "invalid",
    `The configuration of upstreams, ${source}, is wrong:\n${problems.map((line) => `  ${line}`).join("\n")}`,
  );
}
