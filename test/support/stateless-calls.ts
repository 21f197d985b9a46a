/** What every request of 2026-07-28 says about itself. */
export const statelessMeta = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "ann", version: "2" },
  "io.modelcontextprotocol/clientCapabilities": {},
};

type Json = Record<string, unknown>;

/** A request of 2026-07-28. */
export function statelessRequest(id: number, method: string, params: Json = {}) {
  return { jsonrpc: "2.0", id, method, params: { _meta: statelessMeta, ...params } };
}

/** The headers that it needs over HTTP; `name` is written as it is. */
export function statelessHeaders(method: string, name?: string): Record<string, string> {
  return {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": method,
    ...(name === undefined ? {} : { "mcp-name": name }),
  };
}
