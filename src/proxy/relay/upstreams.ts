import { z } from "zod";
import { DeweyError, asDeweyError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { dialHttp } from "../../wire/http.ts";
import type { Link } from "../../wire/link.ts";
import { requireOwnServer } from "../../wire/owner.ts";
import { spawnStdio } from "../../wire/stdio.ts";
import type { StandIn } from "../../wire/stdio.ts";
import { dialWebSocket } from "../../wire/websocket.ts";

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
    | { wire: "websocket" | "http"; url: string; headers: Record<string, string> }
  );

/** The servers behind a proxy by name, and the default for clients that name none. */
export interface Upstreams {
  byName: ReadonlyMap<string, Upstream>;
  defaultName: string | undefined;
}

/** Values that the upstream configuration may refer to. */
export interface UpstreamContext {
  /** The environment for `${VAR}` and for child processes, without Dewey's own settings. */
  env: Record<string, string>;
  /** The Dewey server. Only its own entry sends the token. */
  dewey: { url: string; token?: string | undefined };
}

const record = z.enum(["calls", "all", "none"], "should be calls, all or none").optional();
const strings = z.record(z.string(), z.string("should be a string"));

const command = z.strictObject({
  type: z.literal("stdio").optional(),
  command: z.string().min(1, "should not be empty"),
  args: z.array(z.string("should be a string")).default([]),
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
  url: z.string().refine((url) => URL.canParse(url), "should be a URL"),
  headers: strings.default({}),
  record,
});

const file = z.strictObject({
  mcpServers: z.record(z.string().min(1), z.unknown()),
  default: z.string().optional(),
});

/** Parses upstreams in the clients' own `mcpServers` format. Throws one `invalid` error that lists every mistake with its path. */
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

/** An upstream given on the command line: a URL, or a command with arguments. */
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

/** Connects to an upstream. Throws `unavailable`, or `not_found` for a missing command; the message names the upstream and the reason. */
export async function dialUpstream(upstream: Upstream, log: Log, standIn?: StandIn): Promise<Link> {
  try {
    if (upstream.wire === "stdio") return spawnStdio({ ...upstream, log, standIn });
    if (upstream.wire === "http") return await dialHttp({ url: upstream.url, headers: upstream.headers, log });
    const link = await dialWebSocket({ url: upstream.url, headers: upstream.headers });
    if (upstream.own) requireOwnServer({ url: upstream.url, token: undefined }, link);
    return link;
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

/** Derives the wire from the URL's scheme, for entries without a type. */
function wireOf(url: string): "websocket" | "http" {
  return url.startsWith("ws") ? "websocket" : "http";
}

/** Expands `${VAR}` and `${VAR:-default}`, the forms in the clients' own files. */
function expandVariables(value: string, env: Record<string, string>, path: string, problems: string[]): string {
  // Behind the last brace no reference ends: looking for one from each beginning would take quadratic time.
  const end = value.lastIndexOf("}") + 1;
  const expanded = value
    .slice(0, end)
    .replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g, (_, name: string, fallback: string | undefined) => {
      const found = env[name] ?? fallback;
      if (found === undefined) problems.push(`${path} refers to the variable ${name}, which is not set`);
      return found ?? "";
    });
  return expanded + value.slice(end);
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
    `The upstream configuration ${source} is invalid:\n${problems.map((line) => `  ${line}`).join("\n")}`,
  );
}
