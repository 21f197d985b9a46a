import { McpServer, createMcpHandler, fromJsonSchema } from "@modelcontextprotocol/server";

/** The SDK's server of 2026-07-28, which refuses requests whose headers do not repeat their bodies. It has no sessions. */
export function startStrictServer(): { url: string } & AsyncDisposable {
  const handler = createMcpHandler(createStrictServer, { legacy: "reject" });
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

/** Tools with names of several kinds, one whose argument a header repeats, and one that reports progress. */
export function createStrictServer(): McpServer {
  const server = new McpServer({ name: "strict", version: "1.0.0" });
  server.registerTool("steps", { description: "Takes three steps." }, async ({ mcpReq }) => {
    const { progressToken = "" } = mcpReq._meta ?? {};
    for (const progress of [1, 2, 3])
      await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress, total: 3 } });
    return { content: [{ type: "text", text: "three steps" }] };
  });
  server.registerTool("process", { description: "Names its process." }, () => ({
    content: [{ type: "text", text: String(process.pid) }],
  }));
  let cancelled = 0;
  server.registerTool("slow", { description: "Answers when it is cancelled." }, ({ mcpReq }) => {
    const { promise, resolve } = Promise.withResolvers<{ content: [] }>();
    mcpReq.signal.addEventListener("abort", () => {
      cancelled += 1;
      resolve({ content: [] });
    });
    return promise;
  });
  server.registerTool("cancelled", { description: "Counts the cancelled calls." }, () => ({
    content: [{ type: "text", text: String(cancelled) }],
  }));
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
