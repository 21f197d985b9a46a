import { z } from "zod";
import { SHOWN_BY, UUID_PATTERN } from "../tools/fields.ts";

type Json = Record<string, unknown>;

/** Limits of integers that say nothing to a caller: PostgreSQL's and JavaScript's. */
const KNOWN_BOUNDS = new Set([2_147_483_647, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]);

/**
 * A schema as `tools/list` shows it, in as few bytes as say the same: a model holds the lists of all its servers at once, and
 * Dewey's own checks name what is wrong with an argument. Of a reply it says what may be there.
 */
export function jsonSchema(schema: z.ZodType, io: "input" | "output"): Json & { type: "object" } {
  // A date is a string on the wire; transforms do not appear in the schema.
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return { properties: {}, ...(compact(rest, io) as Json), type: "object" };
}

function compact(schema: unknown, io: "input" | "output"): unknown {
  if (Array.isArray(schema)) return schema.map((each) => compact(each, io));
  if (typeof schema !== "object" || schema === null) return schema;
  const flat = withoutNullBranch(schema as Json);
  if (SHOWN_BY in flat) return { type: "object", description: flat[SHOWN_BY] };
  const entries = Object.entries(flat).flatMap(([key, value]): [string, unknown][] => {
    if (saysNothing(flat, key, io)) return [];
    if (key === "pattern" && value === UUID_PATTERN.source) return [["format", "uuid"]];
    if (key === "properties") return [[key, mapValues(value as Json, (each) => compact(each, io))]];
    return [[key, compact(value, io)]];
  });
  return Object.fromEntries(entries);
}

function saysNothing(schema: Json, key: string, io: "input" | "output"): boolean {
  const value = schema[key];
  switch (key) {
    // Nothing is counted from below 0 or 1, and what is not asked for is not done.
    case "minimum":
      return value === 0 || value === 1 || KNOWN_BOUNDS.has(value as number);
    case "maximum":
      return KNOWN_BOUNDS.has(value as number);
    case "default":
      return value === false;
    // Keys are always strings, and a length only keeps a caller from what no caller does.
    case "propertyNames":
    case "maxLength":
    case "maxItems":
      return true;
    case "minLength":
      return value === 1;
    // Anything is allowed without it, too. Later versions may add fields to a reply.
    case "additionalProperties":
      return io === "output" || isEmpty(value);
    case "required":
      return io === "output";
    // A constant has one type.
    case "type":
      return "const" in schema;
    default:
      return false;
  }
}

/** `{"anyOf": [{"type": "integer"}, {"type": "null"}]}` is `{"type": ["integer", "null"]}`. */
function withoutNullBranch(schema: Json): Json {
  const { anyOf, ...rest } = schema;
  const [first, second, ...more] = (Array.isArray(anyOf) ? anyOf : []) as Json[];
  const isNullable = second?.["type"] === "null" && more.length === 0;
  if (!first || !isNullable || typeof first["type"] !== "string" || "enum" in first || "const" in first) return schema;
  return { ...first, ...rest, type: [first["type"], "null"] };
}

function mapValues(object: Json, map: (value: unknown) => unknown): Json {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value)]));
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
