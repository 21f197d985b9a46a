import { DeweyError } from "../errors.ts";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";

// Codex keeps its configuration as TOML, in which users write comments, so only the affected lines are changed. The result
// is parsed and compared with what it should say, so that an unforeseen form is refused and changes nothing.

/** The servers in a configuration of Codex. Throws `invalid` for a text that is not TOML. */
export function codexServers(text: string, path: string): Record<string, Json> {
  const { mcp_servers: servers } = parsed(text, path);
  return Object.fromEntries(
    Object.entries(isObject(servers) ? servers : {}).filter((entry): entry is [string, Json] => isObject(entry[1])),
  );
}

/** Sets, replaces or (undefined) removes servers in the text. Throws `invalid` when that cannot be done safely. */
export function withCodexServers(text: string, path: string, changes: Record<string, Json | undefined>): string {
  const { servers, others } = contents(parsed(text, path));
  const meant = Object.fromEntries(
    Object.entries({ ...servers, ...changes }).filter(([, entry]) => entry !== undefined),
  );
  let result = text;
  for (const [name, entry] of Object.entries(changes)) result = withServer(result, name, entry);
  if (!says(result, { servers: meant, others })) {
    throw new DeweyError(
      "invalid",
      `${path} has a form that Dewey cannot change safely; nothing was changed. Write each server as a table: [mcp_servers.NAME]`,
    );
  }
  return result;
}

/** The servers of a configuration, and everything else in it. */
function contents({ mcp_servers: servers, ...others }: Json): { servers: object; others: Json } {
  return { servers: isObject(servers) ? servers : {}, others };
}

function says(text: string, meant: { servers: object; others: Json }): boolean {
  try {
    return Bun.deepEquals(plain(contents(parsed(text, ""))), plain(meant));
  } catch {
    return false;
  }
}

/** A table with its header, or the lines before the first table. */
interface Table {
  path: string[];
  lines: string[];
}

const OWN_FIELDS = ["command", "args", "url", "http_headers", "env"];

function withServer(text: string, name: string, entry: Json | undefined): string {
  const fields = new Set([...OWN_FIELDS, ...Object.keys(entry ?? {})]);
  const end = text.includes("\r\n") ? "\r" : "";
  const written = Object.entries(entry ?? {}).map(([field, value]) => `${field} = ${toml(value)}${end}`);
  const lines: string[] = [];
  let isSet = false;
  for (const table of tablesIn(text)) {
    const [top, server, field] = table.path;
    const [header = "", ...body] = table.lines;
    if (top !== "mcp_servers" || server !== name) lines.push(...table.lines);
    else if (entry !== undefined && field === undefined) {
      isSet = true;
      lines.push(header, ...written, ...withoutFields(body, fields));
    } else if (entry !== undefined && field !== undefined && !fields.has(field)) lines.push(...table.lines);
    else {
      // The empty line before a table goes with it.
      if (lines.at(-1)?.trim() === "") lines.pop();
      lines.push(...behindLastField(table.lines));
    }
  }
  const result = lines.join("\n");
  if (entry === undefined || isSet) return result;
  const key = /^[\w-]+$/.test(name) ? name : JSON.stringify(name);
  const isSpaced = result === "" || /\n\r?\n$/.test(result);
  const separator = isSpaced ? "" : result.endsWith("\n") ? `${end}\n` : `${end}\n${end}\n`;
  return `${result}${separator}${[`[mcp_servers.${key}]${end}`, ...written, ""].join("\n")}`;
}

function tablesIn(text: string): Table[] {
  const tables: Table[] = [{ path: [], lines: [] }];
  let value = COMPLETE;
  for (const line of text.split("\n")) {
    const path = isComplete(value) ? headerPath(line) : undefined;
    if (path !== undefined) tables.push({ path, lines: [] });
    else value = after(line, value);
    tables.at(-1)?.lines.push(line);
  }
  return tables;
}

const KEY = /[\w-]+|"(?:[^"\\]|\\.)*"|'[^']*'/;
const HEADER = new RegExp(`^\\[\\[?\\s*((?:${KEY.source})(?:\\s*\\.\\s*(?:${KEY.source}))*)\\s*\\]\\]?\\s*(?:#.*)?$`);

/** The names in a table's header; undefined for any other line. */
function headerPath(line: string): string[] | undefined {
  const [, names] = HEADER.exec(line.trim()) ?? [];
  return names?.match(new RegExp(KEY, "g"))?.map(nameOf);
}

function nameOf(key: string): string {
  if (key.startsWith("'")) return key.slice(1, -1);
  if (!key.startsWith('"')) return key;
  try {
    return String(JSON.parse(key));
  } catch {
    // TOML knows more escapes than JSON; a server of such a name is not found.
    return key;
  }
}

/** What follows a table's last field: empty lines, and comments, which may belong to the next table. */
function behindLastField(lines: string[]): string[] {
  return lines.slice(lines.findLastIndex((line) => !/^\s*(?:#|$)/.test(line)) + 1);
}

/** The lines of a table without those of these fields, whose values may span several lines. */
function withoutFields(lines: string[], fields: Set<string>): string[] {
  let value = COMPLETE;
  let isDropped = false;
  return lines.filter((line) => {
    if (isComplete(value)) isDropped = fields.has(/^\s*["']?([\w-]+)["']?\s*[.=]/.exec(line)?.[1] ?? "");
    value = after(line, value);
    return !isDropped;
  });
}

/** How much of a value is missing at the end of a line: brackets to close, and the multi-line string to end. */
interface Unfinished {
  depth: number;
  quote: string;
}

const COMPLETE: Unfinished = { depth: 0, quote: "" };

function isComplete({ depth, quote }: Unfinished): boolean {
  return depth <= 0 && quote === "";
}

function after(line: string, { depth, quote }: Unfinished): Unfinished {
  for (let at = 0; at < line.length;) {
    const sign = line[at] ?? "";
    if (quote !== "") {
      const isEnd = line.startsWith(quote, at);
      at += isEnd ? quote.length : sign === "\\" && quote.startsWith('"') ? 2 : 1;
      if (isEnd) quote = "";
      continue;
    }
    if (sign === "#") break;
    if (sign === '"' || sign === "'") quote = line.startsWith(sign.repeat(3), at) ? sign.repeat(3) : sign;
    else if (sign === "[" || sign === "{") depth += 1;
    else if (sign === "]" || sign === "}") depth -= 1;
    at += Math.max(1, quote.length);
  }
  // A string in single marks ends with its line.
  return { depth, quote: quote.length === 1 ? "" : quote };
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
