import { describe, expect, test } from "bun:test";
import { viewFrame } from "../../src/wire/frame.ts";
import { MirroredHeaders } from "../../src/wire/mirrored-headers.ts";

const _meta = { "io.modelcontextprotocol/protocolVersion": "2026-07-28" };
const common = { "mcp-protocol-version": "2026-07-28" };

function headers(method: string, params: unknown, { id = 1, mirrored = new MirroredHeaders() } = {}) {
  return mirrored.of(viewFrame(JSON.stringify({ jsonrpc: "2.0", id, method, params })));
}

/** The headers of a call of a tool with this schema. */
function ofCall(inputSchema: unknown, args: unknown): Record<string, string> {
  const mirrored = new MirroredHeaders();
  mirrored.learn({ tools: [{ name: "t", inputSchema }] });
  const all = headers("tools/call", { _meta, name: "t", arguments: args }, { mirrored });
  return Object.fromEntries(Object.entries(all).filter(([name]) => name.startsWith("mcp-param-")));
}

const text = (header: unknown) => ({ type: "string", "x-mcp-header": header });

describe("a message of the revision without sessions", () => {
  test("repeats version, method and name in headers", () => {
    expect(headers("tools/call", { _meta, name: "echo" })).toEqual({
      ...common,
      "mcp-method": "tools/call",
      "mcp-name": "echo",
    });
    expect(headers("prompts/get", { _meta, name: "two words" })).toMatchObject({ "mcp-name": "two words" });
    expect(headers("resources/read", { _meta, uri: "a:b" })).toMatchObject({ "mcp-name": "a:b" });
    expect(headers("tasks/get", { _meta, taskId: "7" })).toMatchObject({ "mcp-name": "7" });
    expect(headers("server/discover", { _meta, name: "no" })).toEqual({ ...common, "mcp-method": "server/discover" });
    const note = viewFrame(JSON.stringify({ jsonrpc: "2.0", method: "notifications/x", params: { _meta } }));
    expect(new MirroredHeaders().of(note)).toEqual({ ...common, "mcp-method": "notifications/x" });
  });

  test("repeats a name that is not plain ASCII in base64", () => {
    expect(headers("tools/call", { _meta, name: "größe" })).toMatchObject({ "mcp-name": "=?base64?Z3LDtsOfZQ==?=" });
    expect(headers("tools/call", { _meta, name: " x " })).toMatchObject({ "mcp-name": "=?base64?IHgg?=" });
  });

  test("sends no header that HTTP could not carry", () => {
    expect(headers("größe", { _meta })).toEqual(common);
    expect(headers("a\nb", { _meta })).toEqual(common);
    const odd = { "io.modelcontextprotocol/protocolVersion": "2026\r\nx: y" };
    expect(headers("tools/call", { _meta: odd, name: "echo" })).toEqual({});
  });

  test("is recognised by its _meta alone", () => {
    for (const params of [
      {},
      { _meta: 1 },
      { _meta: {} },
      { _meta: { "io.modelcontextprotocol/protocolVersion": 1 } },
      [],
    ])
      expect(headers("tools/call", params)).toEqual({});
    expect(new MirroredHeaders().of(viewFrame("[]"))).toEqual({});
  });
});

describe("a tool's arguments", () => {
  test("that its schema marks are repeated, however deep, by their type", () => {
    const inputSchema = {
      type: "object",
      properties: {
        region: text("Region"),
        near: { type: "object", properties: { count: { type: "integer", "x-mcp-header": "Count" } } },
        dry: { type: "boolean", "x-mcp-header": "dry" },
        query: { type: "string" },
      },
    };
    expect(ofCall(inputSchema, { region: "größe", near: { count: -7 }, dry: false, query: "q" })).toEqual({
      "mcp-param-region": "=?base64?Z3LDtsOfZQ==?=",
      "mcp-param-count": "-7",
      "mcp-param-dry": "false",
    });
    expect(ofCall(inputSchema, { region: null })).toEqual({});
    expect(ofCall(inputSchema, { near: 3, region: ["x"] })).toEqual({});
    expect(ofCall(inputSchema, undefined)).toEqual({});
  });

  test("are repeated by none of the headers of a tool whose marks are wrong", () => {
    for (const wrong of ["", "a b", "a\r\nb: c", 7, "größe", null])
      expect(ofCall({ properties: { a: text("A"), b: text(wrong) } }, { a: "1", b: "2" })).toEqual({});
    expect(ofCall({ properties: { a: text("Same"), b: text("same") } }, { a: "1", b: "2" })).toEqual({});
  });

  test("are known from the latest list", () => {
    const mirrored = new MirroredHeaders();
    const call = () => headers("tools/call", { _meta, name: "t", arguments: { a: "1" } }, { mirrored });
    mirrored.learn({ tools: [{ name: "t", inputSchema: { properties: { a: text("A") } } }] });
    expect(call()).toHaveProperty("mcp-param-a", "1");
    mirrored.learn({ tools: [{ name: "other" }, 1, null, { name: 7 }] });
    expect(call()).toHaveProperty("mcp-param-a", "1");
    mirrored.learn({ tools: [{ name: "t", inputSchema: { properties: { a: { type: "string" } } } }] });
    expect(call()).not.toHaveProperty("mcp-param-a");
    for (const odd of [undefined, null, 7, {}, { tools: 7 }]) mirrored.learn(odd);
  });
});
