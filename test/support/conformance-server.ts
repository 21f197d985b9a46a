import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import { ReplayStore } from "./replay-store.ts";
import { servePrompts } from "./conformance-prompts.ts";
import { serveResources } from "./conformance-resources.ts";
import { serveTools } from "./conformance-tools.ts";

/** How soon a client should reconnect after its stream was closed. */
const RETRY_MS = 100;

/**
 * A server with everything that MCP's conformance suite tests, built on the SDK alone. It contains no code of Dewey's,
 * so any difference seen through the proxy is the proxy's.
 */
function createConformanceServer(): Server {
  const capabilities = { tools: {}, prompts: {}, resources: { subscribe: true }, logging: {}, completions: {} };
  const server = new Server({ name: "conformance", version: "1.0.0" }, { capabilities });
  serveTools(server);
  servePrompts(server);
  serveResources(server);
  return server;
}

/** The conformance server over Streamable HTTP on a free port. It rejects foreign hosts and origins. */
export function startConformanceHttp(): { url: string; stop(): Promise<void> } {
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>();
  const begin = async () => {
    const authority = `localhost:${http.port}`;
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      onsessioninitialized: (id) => void sessions.set(id, transport),
      onsessionclosed: (id) => void sessions.delete(id),
      eventStore: new ReplayStore(),
      retryInterval: RETRY_MS,
      enableDnsRebindingProtection: true,
      allowedHosts: [authority],
      allowedOrigins: [`http://${authority}`],
    });
    await createConformanceServer().connect(transport);
    return transport;
  };
  const http = Bun.serve({
    hostname: "localhost",
    port: 0,
    // A stream may stay silent indefinitely.
    idleTimeout: 0,
    async fetch(request) {
      const id = request.headers.get("mcp-session-id");
      const transport = id === null ? await begin() : sessions.get(id);
      return transport?.handleRequest(request) ?? new Response(null, { status: 404 });
    },
  });
  return {
    url: `http://localhost:${http.port}/mcp`,
    async stop() {
      for (const transport of sessions.values()) await transport.close();
      await http.stop(true);
    },
  };
}

/** The command line of the conformance server on stdio. */
export const conformanceCommand = { command: process.execPath, args: [import.meta.path, "--stdio"] };

if (import.meta.main) {
  if (process.argv.includes("--stdio")) await createConformanceServer().connect(new StdioServerTransport());
  else console.log(startConformanceHttp().url);
}
