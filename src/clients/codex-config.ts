import { DeweyError } from "../errors.ts";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";

// Codex keeps its configuration as TOML, in which users write comments, so only the affected lines are changed. The result
// is parsed and compared with the intended servers, so that an unforeseen form is refused and changes nothing.

/** The servers in a configuration of Codex. Throws `invalid` for a text that is not TOML. */
export function codexServers(text: string, path: string): Record<string, Json> {
  const { mcp_servers: servers } = parsed(text, path);
  return Object.fromEntries(
    Object.entries(isObject(servers) ? servers : {}).filter((entry): entry is [string, Json] => isObject(entry[1])),
  );
}

/** Sets, replaces or (undefined) removes servers in the text. Throws `invalid` when that cannot be done safely. */
export function withCodexServers(text: string, path: string, changes: Record<string, Json | undefined>): string {
  let result = text;
  for (const [name, entry] of Object.entries(changes)) result = withServer(result, name, entry);
  const before = codexServers(text, path);
  const meant = Object.fromEntries(
    Object.entries({ ...before, ...changes }).filter(([, entry]) => entry !== undefined),
  );
  if (!Bun.deepEquals(plain(codexServers(result, path)), plain(meant))) {
    throw new DeweyError(
      "invalid",
      `${path} has a form that Dewey cannot change safely; nothing was changed. Write each server as a table: [mcp_servers.NAME]`,
    );
  }
  return result;
}

function withServer(text: string, name: string, entry: Json | undefined): string {
  const lines = text.split("\n");
  const key = /^[\w-]+$/.test(name) ? name : JSON.stringify(name);
  const header = new RegExp(
    `^\\s*\\[\\s*mcp_servers\\s*\\.\\s*(?:${escaped(key)}|"${escaped(name)}")\\s*\\]\\s*(#.*)?$`,
  );
  const start = lines.findIndex((line) => header.test(line));
  const written = entry === undefined ? [] : Object.entries(entry).map(([field, value]) => `${field} = ${toml(value)}`);
  if (start === -1) {
    if (entry === undefined) return text;
    const separator = text === "" || text.endsWith("\n\n") ? "" : text.endsWith("\n") ? "\n" : "\n\n";
    return `${text}${separator}[mcp_servers.${key}]\n${written.join("\n")}\n`;
  }
  const after = lines.slice(start + 1).findIndex((line) => /^\s*\[\[?[\w\s."'-]+\]\]?\s*(#.*)?$/.test(line));
  const end = after === -1 ? lines.length : start + 1 + after;
  if (entry === undefined) {
    // Remove the empty line before it, too.
    const from = lines[start - 1] === "" && start > 0 ? start - 1 : start;
    return [...lines.slice(0, from), ...lines.slice(end === lines.length && lines.at(-1) === "" ? end - 1 : end)].join(
      "\n",
    );
  }
  const body = lines.slice(start + 1, end);
  const kept = withoutFields(body, new Set(["command", "args", "url", "http_headers", "env", ...Object.keys(entry)]));
  return [...lines.slice(0, start + 1), ...written, ...kept, ...lines.slice(end)].join("\n");
}

/** The lines of a table without those of these fields; a value may span several lines until its brackets close. */
function withoutFields(lines: string[], fields: Set<string>): string[] {
  const kept: string[] = [];
  for (let index = 0; index < lines.length; index += 1) {
    const line = lines[index] ?? "";
    const [, field = ""] = /^\s*"?([\w-]+)"?\s*=/.exec(line) ?? [];
    if (!fields.has(field)) {
      kept.push(line);
      continue;
    }
    for (let depth = opened(line); depth > 0 && index + 1 < lines.length; depth += opened(lines[index] ?? ""))
      index += 1;
  }
  return kept;
}

/** How many more brackets a line opens than it closes, not counting those in strings and comments. */
function opened(line: string): number {
  let depth = 0;
  let quote = "";
  for (let at = 0; at < line.length; at += 1) {
    const sign = line[at] ?? "";
    if (quote !== "") {
      if (sign === "\\" && quote === '"') at += 1;
      else if (sign === quote) quote = "";
    } else if (sign === "#") break;
    else if (sign === '"' || sign === "'") quote = sign;
    else if (sign === "[" || sign === "{") depth += 1;
    else if (sign === "]" || sign === "}") depth -= 1;
  }
  return depth;
}

function toml(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(toml).join(", ")}]`;
  if (isObject(value))
    return `{ ${Object.entries(value)
      .map(([key, each]) => `${JSON.stringify(key)} = ${toml(each)}`)
      .join(", ")} }`;
  // A basic string of TOML has the escapes of JSON.
  return JSON.stringify(value);
}

function parsed(text: string, path: string): Json {
  try {
    return Bun.TOML.parse(text) as Json;
  } catch (error) {
    throw new DeweyError("invalid", `${path} is not valid TOML: ${error instanceof Error ? error.message : ""}`);
  }
}

/** Values without the prototypes that parsers give them. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
