/** How long a browser may remember the answer to a preflight; Chrome's own limit is two hours. */
const PREFLIGHT_SECONDS = 600;
/** What a page may read besides the headers that every page may. */
const EXPOSED = "mcp-session-id, mcp-protocol-version, www-authenticate";
const METHODS = "GET, POST, DELETE";

/** Whether a browser asks what a page of an origin may send. It sends no token with that. */
export function isPreflight({ method, headers }: Request): boolean {
  return method === "OPTIONS" && headers.has("origin") && headers.has("access-control-request-method");
}

/** The answer to a preflight. */
export function preflightAnswer({ headers }: Request): Response {
  const asked = headers.get("access-control-request-headers") ?? "";
  return new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-methods": METHODS,
      // The origin is trusted, and the headers of MCP's revisions differ.
      ...(/^[\w\-, ]+$/.test(asked) ? { "access-control-allow-headers": asked } : {}),
      "access-control-max-age": `${PREFLIGHT_SECONDS}`,
      vary: "Access-Control-Request-Headers",
    },
  });
}

/** Lets a page of this origin read the response. */
export function sharedWith(origin: string, response: Response): Response {
  response.headers.set("access-control-allow-origin", origin);
  response.headers.set("access-control-expose-headers", EXPOSED);
  response.headers.append("vary", "Origin");
  return response;
}
