import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { actorOf } from "./caller.ts";
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

/** What is known of a session besides what the SDK keeps. */
export interface Session {
  /** Aborts when the client has left. */
  left: AbortSignal;
  /** Whether the revision that the client asked for knows links to resources in results. */
  takesLinks: boolean;
  /** The client's network address. */
  address: string | null;
}

/**
 * The MCP server of one session, by the revisions with sessions. Uses the SDK's low-level `Server`, because its `McpServer`
 * answers an unknown tool with a result and silently ignores unknown arguments. */
export async function createMcpServer(options: McpServerOptions, session: Session): Promise<Server> {
  const { store, log } = options;
  const { left } = session;
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
  server.fallbackRequestHandler = async ({ method, params }, { sessionId, signal, requestId }) => {
    if (method === RESOURCES_LIST) watchResources();
    const caller = {
      actor: actorOf(sessionId ?? connection, server.getClientVersion(), session.address),
      requestId,
      signal,
      takesLinks: session.takesLinks,
    };
    return handlesMethod(method)
      ? answerRequest(method, params, caller, options)
      : callDirectly(method, params, caller, options);
  };
  server.onerror = (error) => log.debug("a frame of a session could not be handled", { error });
  return server;
}
