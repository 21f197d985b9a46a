import { McpServer, createMcpHandler, fromJsonSchema } from "@modelcontextprotocol/server";

/** The SDK's server of 2026-07-28, which refuses requests whose headers do not repeat their bodies. It has no sessions. */
export function startStrictServer(): { url: string } & AsyncDisposable {
  const handler = createMcpHandler(createServer, { legacy: "reject" });
  const http = Bun.serve({
    hostname: "localhost",
    port: 0,
    idleTimeout: 0,
    fetch: (request) => handler.fetch(request),
  });
  return {
    url: `http://localhost:${http.port}/mcp`,
    async [Symbol.asyncDispose]() {
      await handler.close();
      await http.stop(true);
    },
  };
}

/** Tools with names of several kinds, and one whose argument a header repeats. */
function createServer(): McpServer {
  const server = new McpServer({ name: "strict", version: "1.0.0" });
  for (const name of ["plain", "größe", "two words", "mirrored"]) {
    const marks = name === "mirrored" ? { "x-mcp-header": "Text" } : {};
    const inputSchema = fromJsonSchema<{ text: string }>({
      type: "object",
      properties: { text: { type: "string", ...marks } },
    });
    server.registerTool(name, { description: "Repeats its argument.", inputSchema }, ({ text }) => ({
      content: [{ type: "text", text: `${name} heard ${text}` }],
    }));
  }
  return server;
}
