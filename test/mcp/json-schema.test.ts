import { expect, test } from "bun:test";
import { z } from "zod";
import { jsonSchema } from "../../src/mcp/json-schema.ts";
import { shownBy, uuid } from "../../src/tools/fields.ts";

test("a schema of arguments says what is allowed, without what says nothing", () => {
  const schema = z.strictObject({
    id: uuid("which"),
    flag: z.boolean().default(false),
    least: z.int().min(2).optional(),
    count: z.int().min(1).max(2_147_483_647).default(20),
    share: z.int().min(0).max(9),
    text: z.string().min(1).max(500).optional(),
    // Fields whose names are keywords of schemas.
    pattern: z.string(),
    required: z.record(z.string(), z.unknown()),
  });
  expect(jsonSchema(schema, "input")).toEqual({
    type: "object",
    properties: {
      id: { type: "string", format: "uuid", description: "which" },
      flag: { type: "boolean" },
      least: { type: "integer", minimum: 2 },
      count: { type: "integer", default: 20 },
      share: { type: "integer", maximum: 9 },
      text: { type: "string" },
      pattern: { type: "string" },
      required: { type: "object" },
    },
    required: ["id", "share", "pattern", "required"],
    additionalProperties: false,
  });
});

test("a schema of replies says what may be there, and lets later versions add fields", () => {
  const row = z.object({
    size: z.int().nullable(),
    metadata: z.record(z.string(), z.unknown()).nullable().describe("any"),
    kind: z.enum(["a", "b"]).nullable(),
    more: z.literal(true).optional(),
    near: shownBy(z.object({ text: z.string() }), "as elsewhere"),
  });
  expect(jsonSchema(z.object({ rows: z.array(row) }), "output")).toEqual({
    type: "object",
    properties: {
      rows: {
        type: "array",
        items: {
          type: "object",
          properties: {
            size: { type: ["integer", "null"] },
            metadata: { type: ["object", "null"], description: "any" },
            kind: { anyOf: [{ type: "string", enum: ["a", "b"] }, { type: "null" }] },
            more: { const: true },
            near: { type: "object", description: "as elsewhere" },
          },
        },
      },
    },
  });
});
