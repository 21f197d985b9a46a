import { z } from "zod";
import type { RecordMode, Upstream } from "./upstreams.ts";

// One server of a configuration file, in any of the forms in which MCP clients write it.

/** What was found in an entry. Mistakes make it unusable; unknown keys are ignored. */
export interface ReadEntry {
  /** Undefined when the entry is wrong or disabled. */
  upstream: Upstream | undefined;
  /** Each with the path of its field, such as `env.KEY should be a string`. */
  mistakes: string[];
  unknownKeys: string[];
}

/** Text that may refer to variables. */
const text = z.string("should be a string");
/** Clients also write numbers and booleans as values of the environment; null leaves a variable out. */
const value = z.union([text, z.number(), z.boolean(), z.null()], "should be a string");

const common = {
  type: text.optional(),
  record: z.enum(["calls", "all", "none"], "should be calls, all or none").optional(),
  disabled: z.boolean("should be true or false").optional(),
  enabled: z.boolean("should be true or false").optional(),
};

const command = z.object({
  ...common,
  command: text,
  args: z.array(text, "should be an array").default([]),
  env: z.record(z.string(), value, "should be an object").default({}),
  cwd: text.optional(),
});

/** The fields that hold the address: most clients', Gemini's and Windsurf's. */
const addresses = ["httpUrl", "serverUrl", "url"] as const;

const remote = z.object({
  ...common,
  httpUrl: text.optional(),
  serverUrl: text.optional(),
  url: text.optional(),
  headers: z.record(z.string(), text, "should be an object").default({}),
  forwardAuthorization: z.boolean("should be true or false").optional(),
});

const knownKeys = new Set([...Object.keys(command.shape), ...Object.keys(remote.shape)]);

/** The wires by the names that clients have for them, in lower case and without `-` and `_`. */
const wires: Record<string, Upstream["wire"]> = {
  stdio: "stdio",
  http: "http",
  streamablehttp: "http",
  sse: "sse",
  ws: "websocket",
  websocket: "websocket",
};

/** Reads one entry. `env` holds the variables that it may refer to, and those that its command gets. */
export function readEntry(name: string, entry: unknown, env: Record<string, string>): ReadEntry {
  const isObject = typeof entry === "object" && entry !== null && !Array.isArray(entry);
  if (!isObject) return { upstream: undefined, mistakes: ["should be an object"], unknownKeys: [] };
  const unknownKeys = Object.keys(entry).filter((key) => !knownKeys.has(key));
  const switched = z.object({ disabled: common.disabled, enabled: common.enabled }).safeParse(entry);
  if (switched.data?.disabled === true || switched.data?.enabled === false)
    return { upstream: undefined, mistakes: [], unknownKeys };
  const mistakes: string[] = [];
  const upstream = "command" in entry ? commandOf(name, entry, env, mistakes) : remoteOf(name, entry, env, mistakes);
  return { upstream: mistakes.length > 0 ? undefined : upstream, mistakes, unknownKeys };
}

function commandOf(name: string, entry: object, env: Record<string, string>, mistakes: string[]): Upstream | undefined {
  const parsed = checked(command, entry, mistakes);
  if (!parsed) return undefined;
  const { type, args, cwd, record } = parsed;
  if (type !== undefined && wireNamed(type) !== "stdio") mistakes.push("type should be stdio for a command");
  const expand = (field: string, given: string) => expandVariables(given, env, field, mistakes);
  const program = expand("command", parsed.command);
  if (program === "") mistakes.push("command should not be empty");
  const own = Object.entries(parsed.env).flatMap(([key, given]): [string, string][] =>
    given === null ? [] : [[key, expand(`env.${key}`, String(given))]],
  );
  return {
    name,
    wire: "stdio",
    command: program,
    args: args.map((argument, index) => expand(`args.${index}`, argument)),
    env: { ...env, ...Object.fromEntries(own) },
    cwd: cwd === undefined ? undefined : expand("cwd", cwd),
    record: record ?? defaultRecord(name),
  };
}

function remoteOf(name: string, entry: object, env: Record<string, string>, mistakes: string[]): Upstream | undefined {
  const parsed = checked(remote, entry, mistakes);
  if (!parsed) return undefined;
  const field = addresses.find((key) => parsed[key] !== undefined);
  if (field === undefined) {
    mistakes.push("should have a command or a url");
    return undefined;
  }
  const expand = (path: string, given: string) => expandVariables(given, env, path, mistakes);
  const url = expand(field, parsed[field] ?? "");
  if (!URL.canParse(url)) mistakes.push(`${field} should be a URL`);
  const wire = parsed.type === undefined ? wireOf(url) : wireNamed(parsed.type);
  if (wire === undefined || wire === "stdio") {
    mistakes.push(`type should be ${wire === "stdio" ? "" : "stdio, "}http, sse or ws`);
    return undefined;
  }
  const { forwardAuthorization } = parsed;
  if (forwardAuthorization === true && wire !== "http") mistakes.push("forwardAuthorization needs the type http");
  const headers = Object.entries(parsed.headers).map(([key, given]) => [key, expand(`headers.${key}`, given)]);
  return {
    name,
    wire,
    url,
    headers: Object.fromEntries(headers) as Record<string, string>,
    record: parsed.record ?? defaultRecord(name),
    ...(forwardAuthorization === true ? { forwardAuthorization } : {}),
  };
}

function checked<Shape extends z.ZodType>(shape: Shape, entry: object, mistakes: string[]): z.infer<Shape> | undefined {
  const parsed = shape.safeParse(entry);
  if (parsed.success) return parsed.data;
  mistakes.push(...parsed.error.issues.map(issueLine));
  return undefined;
}

/** A mistake with the path of its field. */
function issueLine(issue: { path: PropertyKey[]; message: string }): string {
  return `${issue.path.map(String).join(".")} ${issue.message}`.trim();
}

/** Calls of Dewey's own tools are not recorded, or every search would find the searches before it. */
function defaultRecord(name: string): RecordMode {
  return name === "dewey" ? "none" : "calls";
}

function wireNamed(type: string): Upstream["wire"] | undefined {
  const name = type.toLowerCase().replace(/[-_]/g, "");
  return Object.hasOwn(wires, name) ? wires[name] : undefined;
}

/** Derives the wire from the URL, for entries without a type; servers over the older transport have this path. */
function wireOf(url: string): "websocket" | "http" | "sse" {
  return /\/sse\/?$/.test(URL.parse(url)?.pathname ?? "") ? "sse" : schemeWire(url);
}

/** Derives the wire from the scheme of a URL alone. */
export function schemeWire(url: string): "websocket" | "http" {
  return url.startsWith("ws") ? "websocket" : "http";
}

const REFERENCE = /^(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-([^]*))?$/;

/** Expands `${VAR}`, `${VAR:-default}` and VS Code's `${env:VAR}`; any other text in braces stays as it is. */
function expandVariables(given: string, env: Record<string, string>, path: string, mistakes: string[]): string {
  let expanded = "";
  let at = 0;
  for (let start = given.indexOf("${"); start !== -1; start = given.indexOf("${", at)) {
    const end = given.indexOf("}", start);
    if (end === -1) break;
    const inside = given.slice(start + 2, end);
    const [, name, fallback] = REFERENCE.exec(inside) ?? [];
    if (inside.startsWith("input:"))
      mistakes.push(`${path} refers to \${${inside}}, which only its own client asks for`);
    const found = name === undefined ? given.slice(start, end + 1) : (env[name] ?? fallback);
    if (found === undefined) mistakes.push(`${path} refers to the variable ${name}, which is not set`);
    expanded += given.slice(at, start) + (found ?? "");
    at = end + 1;
  }
  return expanded + given.slice(at);
}
