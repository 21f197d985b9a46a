import { McpServer, ResourceTemplate, createMcpHandler } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { z } from "zod";
import { PNG, WAV } from "./conformance-media.ts";

const text = (text: string) => ({ type: "text", text }) as const;
const image = { type: "image", data: PNG, mimeType: "image/png" } as const;
const embedded = {
  type: "resource",
  resource: { uri: "test://embedded-resource", mimeType: "text/plain", text: "This is an embedded resource content." },
} as const;

/** A server with what the conformance suite tests of the stateless revision (2026-07-28), built on the SDK for it. */
function createStatelessServer(): McpServer {
  const server = new McpServer({ name: "stateless", version: "1.0.0" });
  serveTools(server);
  servePromptsAndResources(server);
  return server;
}

function serveTools(server: McpServer): void {
  const contents = {
    test_simple_text: [text("This is a simple text response for testing.")],
    test_image_content: [image],
    test_audio_content: [{ type: "audio", data: WAV, mimeType: "audio/wav" } as const],
    test_embedded_resource: [embedded],
    test_multiple_content_types: [text("Multiple content types test:"), image, embedded],
  };
  for (const [name, content] of Object.entries(contents))
    server.registerTool(name, { description: `Answers as ${name} says.` }, () => ({ content }));
  server.registerTool("test_error_handling", { description: "Always fails." }, () => {
    throw new Error("This tool intentionally returns an error for testing");
  });
  server.registerTool("test_tool_with_progress", { description: "Reports its progress." }, async (context) => {
    const progressToken = context.mcpReq._meta?.progressToken;
    for (const progress of progressToken === undefined ? [] : [0, 50, 100])
      await context.mcpReq.notify({
        method: "notifications/progress",
        params: { progressToken: progressToken ?? "", progress, total: 100 },
      });
    return { content: [text("Done in three steps.")] };
  });
}

function servePromptsAndResources(server: McpServer): void {
  server.registerPrompt("test_simple_prompt", { description: "Takes no arguments." }, () => ({
    messages: [{ role: "user", content: text("This is a simple prompt for testing.") }],
  }));
  server.registerPrompt(
    "test_prompt_with_arguments",
    { description: "Repeats its arguments.", argsSchema: z.object({ arg1: z.string(), arg2: z.string() }) },
    ({ arg1, arg2 }) => ({
      messages: [{ role: "user", content: text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`) }],
    }),
  );
  server.registerPrompt("test_prompt_with_image", { description: "Shows an image." }, () => ({
    messages: [{ role: "user", content: image }],
  }));
  server.registerResource("static-text", "test://static-text", { mimeType: "text/plain" }, ({ href }) => ({
    contents: [{ uri: href, mimeType: "text/plain", text: "This is the content of the static text resource." }],
  }));
  server.registerResource("static-binary", "test://static-binary", { mimeType: "image/png" }, ({ href }) => ({
    contents: [{ uri: href, mimeType: "image/png", blob: PNG }],
  }));
  const template = new ResourceTemplate("test://template/{id}/data", { list: undefined });
  server.registerResource("template", template, { mimeType: "application/json" }, ({ href }, { id }) => ({
    contents: [{ uri: href, mimeType: "application/json", text: JSON.stringify({ id, templateTest: true }) }],
  }));
}

/** The stateless server over Streamable HTTP on a free port. It rejects foreign hosts and origins. */
export function startStatelessHttp(): { url: string; stop(): Promise<void> } {
  const handler = createMcpHandler(createStatelessServer);
  const http = Bun.serve({
    hostname: "localhost",
    port: 0,
    idleTimeout: 0,
    fetch: (request) =>
      new URL(request.url).hostname === "localhost" ? handler.fetch(request) : new Response(null, { status: 403 }),
  });
  return {
    url: `http://localhost:${http.port}/mcp`,
    async stop() {
      await handler.close();
      await http.stop(true);
    },
  };
}

/** The command line of the stateless server on stdio. */
export const statelessCommand = { command: process.execPath, args: [import.meta.path] };

if (import.meta.main) serveStdio(createStatelessServer);
