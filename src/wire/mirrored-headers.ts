import { isObject } from "./frame.ts";
import type { FrameView, Json } from "./frame.ts";
import { METHOD_HEADER, NAME_HEADER, VERSION_HEADER, fromHeaderValue, headerValue } from "./headers.ts";

/** The parameter that `Mcp-Name` repeats, by method; those of tasks belong to an extension. */
const namedBy: Record<string, string> = {
  "tools/call": "name",
  "prompts/get": "name",
  "resources/read": "uri",
  "tasks/get": "taskId",
  "tasks/update": "taskId",
  "tasks/cancel": "taskId",
};
/** Prefix of the keys that MCP defines in `_meta`. */
const META = "io.modelcontextprotocol/";
/** Prefix of the headers that repeat arguments of a tool. */
const PARAMETER_PREFIX = "mcp-param-";
/** Limits on what is remembered of a server's tools; real servers have some hundred tools with a few such arguments. */
const MAX_TOOLS = 10_000;
const MAX_PARAMETERS = 100;
const MAX_PATH_LENGTH = 32;

/** An argument that a header repeats: its place in the arguments. */
interface Parameter {
  header: string;
  path: string[];
}

/**
 * The headers in which HTTP requests of 2026-07-28 repeat parts of their body. The server's tools say which of their
 * arguments are repeated, so their list is read as it passes.
 */
export class MirroredHeaders {
  readonly #parameters = new Map<string, Parameter[]>();

  /** The headers of a message; none for one that does not name such a revision. */
  of(view: FrameView): Record<string, string> {
    const version = statelessVersion(view);
    if (version === undefined || (view.kind !== "request" && view.kind !== "notification")) return {};
    const params = paramsOf(view.message);
    const name = nameIn(view);
    return {
      [VERSION_HEADER]: version,
      // A method has no other form than its own; without the header the server says what is wrong.
      ...(/^[!-~]+$/.test(view.method) ? { [METHOD_HEADER]: view.method } : {}),
      ...(typeof name === "string" ? { [NAME_HEADER]: headerValue(name) } : {}),
      ...this.#ofArguments(view.method, name, params["arguments"]),
    };
  }

  /** The client's own words about itself in a message, for requests on its behalf. */
  metaOf(view: FrameView): Json {
    const meta = view.kind === "request" ? paramsOf(view.message)["_meta"] : undefined;
    return Object.fromEntries(Object.entries(isObject(meta) ? meta : {}).filter(([key]) => key.startsWith(META)));
  }

  /** Reads a result of `tools/list`. */
  learn(result: unknown): void {
    const tools = isObject(result) ? result["tools"] : undefined;
    for (const tool of Array.isArray(tools) ? tools : []) {
      if (!isObject(tool) || typeof tool["name"] !== "string") continue;
      if (this.#parameters.size >= MAX_TOOLS && !this.#parameters.has(tool["name"])) return;
      this.#parameters.set(tool["name"], parametersOf(tool["inputSchema"]));
    }
  }

  #ofArguments(method: string, tool: unknown, args: unknown): Record<string, string> {
    if (method !== "tools/call" || typeof tool !== "string") return {};
    const headers = (this.#parameters.get(tool) ?? []).map(({ header, path }): [string, string | undefined] => [
      PARAMETER_PREFIX + header,
      textOf(path.reduce<unknown>((value, key) => (isObject(value) ? value[key] : undefined), args)),
    ]);
    return Object.fromEntries(headers.filter((entry): entry is [string, string] => entry[1] !== undefined));
  }
}

/**
 * Why the headers of a request do not repeat its body, if they do not. Those that repeat arguments are left out: only the
 * server knows which ones do.
 */
export function headerMismatch(headers: Headers, view: FrameView): string | undefined {
  if (view.kind !== "request") return undefined;
  const name = nameIn(view);
  const repeated: [string, unknown][] = [
    [VERSION_HEADER, statelessVersion(view)],
    [METHOD_HEADER, view.method],
    [NAME_HEADER, typeof name === "string" ? name : undefined],
  ];
  for (const [header, value] of repeated) {
    const given = headers.get(header);
    if (value === undefined) continue;
    if (given === null) return `the header ${header} is missing; it must repeat the body's value`;
    if (fromHeaderValue(given) !== value) return `the header ${header} does not repeat the body's value`;
  }
  return undefined;
}

/** What a message says of who sent it. */
export function identityOf(view: FrameView): unknown {
  if (view.kind !== "request" && view.kind !== "notification") return undefined;
  const meta = paramsOf(view.message)["_meta"];
  const info = isObject(meta) ? meta[`${META}clientInfo`] : undefined;
  return isObject(info)
    ? [info["name"], info["version"]].map((each) => (typeof each === "string" ? each : null))
    : null;
}

/** The name or address that a request is for, if it has one. */
function nameIn({ method, message }: FrameView & { kind: "request" | "notification" }): unknown {
  const parameter = Object.hasOwn(namedBy, method) ? namedBy[method] : undefined;
  return parameter === undefined ? undefined : paramsOf(message)[parameter];
}

/** The revision that a message names in its `_meta`, if a header can carry it. */
export function statelessVersion(view: FrameView): string | undefined {
  const version = claimedVersion(view);
  return typeof version === "string" && /^[!-~]+$/.test(version) ? version : undefined;
}

/** What stands in a message's `_meta` in place of its revision. */
export function claimedVersion(view: FrameView): unknown {
  if (view.kind !== "request" && view.kind !== "notification") return undefined;
  const meta = paramsOf(view.message)["_meta"];
  return isObject(meta) ? meta[`${META}protocolVersion`] : undefined;
}

/**
 * The arguments that a tool's schema marks with `x-mcp-header`: those that can be reached by `properties` alone. A wrong
 * mark makes the whole tool wrong, and none of its headers is sent.
 */
function parametersOf(schema: unknown): Parameter[] {
  const found: Parameter[] = [];
  const open: { schema: unknown; path: string[] }[] = [{ schema, path: [] }];
  for (let next = open.pop(); next; next = open.pop()) {
    const { schema, path } = next;
    if (!isObject(schema)) continue;
    const header = schema["x-mcp-header"];
    if (header !== undefined) {
      if (typeof header !== "string" || !/^[\w!#$%&'*+.^`|~-]{1,100}$/.test(header)) return [];
      found.push({ header: header.toLowerCase(), path });
    }
    const { properties } = schema;
    if (!isObject(properties) || path.length === MAX_PATH_LENGTH) continue;
    for (const [key, each] of Object.entries(properties)) open.push({ schema: each, path: [...path, key] });
  }
  const isUnique = new Set(found.map(({ header }) => header)).size === found.length;
  return isUnique && found.length <= MAX_PARAMETERS ? found : [];
}

/** The header's text of an argument; undefined for null and for what is no text, number or truth value. */
function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return headerValue(value);
  return typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}

function paramsOf(message: Json): Json {
  const { params } = message;
  return isObject(params) ? params : {};
}
