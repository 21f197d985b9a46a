import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { authorOf } from "./caller.ts";
import { instructions } from "./instructions.ts";
import { RESOURCES_LIST, answerRequest, capabilities, handlesMethod } from "./requests.ts";
import type { ResourceChanges } from "./resource-changes.ts";
import { serverInfo } from "./server-info.ts";
import { callDirectly } from "./tool-calls.ts";
import type { CallOptions } from "./tool-calls.ts";

export interface McpServerOptions extends CallOptions {
  version: string;
  changes: ResourceChanges;
}

/**
 * The MCP server of one session, by the revisions with sessions. Uses the SDK's low-level `Server`, because its `McpServer`
 * answers an unknown tool with a result and silently ignores unknown arguments. `left` aborts when the client has left.
 */
export async function createMcpServer(options: McpServerOptions, left: AbortSignal): Promise<Server> {
  const { store, log } = options;
  const server = new Server(serverInfo(options.version), {
    capabilities,
    instructions: await instructions(store, log),
  });
  const connection = Bun.randomUUIDv7();
  let watches = false;
  // A client that has never listed the resources has nothing to list again.
  const watchResources = () => {
    if (watches || left.aborted) return;
    watches = true;
    left.addEventListener(
      "abort",
      options.changes.watch(() => void server.sendResourceListChanged()),
      { once: true },
    );
  };
  // Handles every method: with handlers set for them, the SDK would validate requests and results against its own schemas,
  // which takes a quarter of a call, and answer malformed parameters with -32603 instead of -32602.
  server.fallbackRequestHandler = async ({ method, params }, { sessionId, signal }) => {
    if (method === RESOURCES_LIST) watchResources();
    const caller = { author: authorOf(sessionId ?? connection, server.getClientVersion()), signal };
    return handlesMethod(method)
      ? answerRequest(method, params, caller, options)
      : callDirectly(method, params, caller, options);
  };
  server.onerror = (error) => log.debug("a frame of a session could not be handled", { error });
  return server;
}
