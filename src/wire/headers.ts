/** Names the session that a Streamable HTTP request belongs to. */
export const SESSION_HEADER = "mcp-session-id";
/** Names the protocol revision that a request speaks. */
export const VERSION_HEADER = "mcp-protocol-version";
