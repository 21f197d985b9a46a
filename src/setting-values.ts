import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { parsePostgresAddress } from "./postgres-address.ts";
import { asHostName, hostName } from "./wire/host.ts";

// The values that settings can have, each with its parser, which throws `Unfit`. By hand, without zod: every command reads its
// settings first, and loading zod would delay a hook, for which a client waits.

/** A text is no valid value. The message continues the setting's name: "should be …". */
export class Unfit extends Error {}

/** Any text. */
export const text = (value: string): string => value;

/** A text that fits; `should` continues the name in the error. */
export const checked =
  (isFit: (value: string) => boolean, should: string) =>
  (value: string): string => {
    if (!isFit(value)) throw new Unfit(should);
    return value;
  };

/** A text that is not empty. */
export const named = (what: string) => checked((value) => value !== "", `should be ${what}`);

/** The path of a file that exists. */
export const existingFile = checked(existsSync, "should be a file that exists");

/** A folder, as an absolute path. */
export const folder = (value: string): string => resolve(named("a folder")(value));

/** One of these words. */
export const oneOf =
  <Choice extends string>(choices: readonly Choice[], should: string) =>
  (value: string): Choice => {
    const choice = choices.find((each) => each === value);
    if (choice === undefined) throw new Unfit(should);
    return choice;
  };

/** The names are checked by the server, which knows the tools. */
export const toolChoice = (value: string): "all" | "read" | string[] => {
  if (value === "all" || value === "read") return value;
  const names = value.split(",").map((name) => name.trim());
  if (names.includes("")) throw new Unfit("should be all, read, or names of tools, separated by commas");
  return names;
};

/** @see ContextWrites */
export const contextWrites = ["on", "inactive", "off"] as const;

export const onOrOff = oneOf(["on", "off"], "should be on or off");

/** A whole number within bounds. */
export const integer =
  (least: number, most: number, what: string) =>
  (value: string): number => {
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= least && number <= most)) throw new Unfit(`should be ${what}`);
    return number;
  };

export const port = integer(0, 65_535, "a port number from 0 (any free port) to 65535");

export const webSocketUrl = checked((value) => {
  const url = URL.parse(value);
  return url !== null && (url.protocol === "ws:" || url.protocol === "wss:");
}, "should be a WebSocket address such as ws://localhost:9020");

export const postgresUrl = checked(
  (value) => parsePostgresAddress(value) !== undefined,
  "should be an address such as postgres://user:password@host:5432/database, with / and ? of a password as %2F and %3F",
);

export const upstreamUrl = checked(
  (value) => /^(ws|http)s?:$/.test(URL.parse(value)?.protocol ?? ""),
  "should be an address such as https://example.org/mcp",
);

/** A key or a password in an address would be shown with it. */
export const embeddingsUrl = checked((value) => {
  const url = URL.parse(value);
  return /^https?:$/.test(url?.protocol ?? "") && !/[?#@]/.test(value);
}, "should be an address such as http://localhost:11434/v1, without a password or what stands behind a question mark");

/** An empty variable counts as not set, so that a prefix of nothing has a name. */
export const prefixText = (value: string): string => (value === "none" ? "" : value);

/** Origins, separated by commas. */
export function origins(value: string): string[] {
  const list = value
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean);
  if (list.some((origin) => URL.parse(origin)?.origin !== origin)) {
    throw new Unfit("should be origins such as https://example.org, separated by commas");
  }
  return list;
}

/** Names of hosts, separated by commas. */
export function hosts(value: string): string[] {
  const list = value
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean);
  if (list.some((name) => hostName(asHostName(name)) !== asHostName(name))) {
    throw new Unfit("should be names of hosts such as dewey.example.org, without ports, separated by commas");
  }
  return list;
}

/** Parses a JSON object whose values are all strings. Throws `SyntaxError` for invalid JSON, and `Unfit`. */
export function jsonTexts(json: string): Record<string, string> {
  const value: unknown = JSON.parse(json);
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject || Object.values(value).some((each) => typeof each !== "string")) {
    throw new Unfit("should be a JSON object whose values are strings");
  }
  return value as Record<string, string>;
}

/** HTTP headers as a JSON object. */
export function headers(value: string): Record<string, string> {
  try {
    return jsonTexts(value);
  } catch {
    throw new Unfit("should be a JSON object whose values are strings");
  }
}
