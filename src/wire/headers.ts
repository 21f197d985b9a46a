/** Names the session that a Streamable HTTP request belongs to. */
export const SESSION_HEADER = "mcp-session-id";
/** Names the protocol revision of a request. */
export const VERSION_HEADER = "mcp-protocol-version";
