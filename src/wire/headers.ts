/** Names the session that a Streamable HTTP request belongs to. */
export const SESSION_HEADER = "mcp-session-id";
/** Names the protocol revision of a request. */
export const VERSION_HEADER = "mcp-protocol-version";
/** Repeat a request's method, and the name or address that it is for (2026-07-28). */
export const METHOD_HEADER = "mcp-method";
export const NAME_HEADER = "mcp-name";

const ENCODED = "=?base64?";
const ENCODED_END = "?=";

/**
 * A text as the value of a header, by the rule of MCP 2026-07-28: as it is when it is plain ASCII without outer white space,
 * and otherwise in base64, with a mark that says so.
 */
export function headerValue(text: string): string {
  const isPlain = /^[\t -~]*$/.test(text) && text.trim() === text && !isEncoded(text);
  return isPlain ? text : `${ENCODED}${Buffer.from(text, "utf8").toString("base64")}${ENCODED_END}`;
}

/** The text of such a value; undefined for a value that breaks the rule. */
export function fromHeaderValue(value: string): string | undefined {
  if (!isEncoded(value)) return /^[\t -~]*$/.test(value) ? value : undefined;
  const encoded = value.slice(ENCODED.length, -ENCODED_END.length);
  const bytes = Buffer.from(encoded, "base64");
  // Node skips what is no base64, so only the way back shows that nothing was skipped.
  if (bytes.toString("base64") !== encoded) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function isEncoded(value: string): boolean {
  return (
    value.length >= ENCODED.length + ENCODED_END.length && value.startsWith(ENCODED) && value.endsWith(ENCODED_END)
  );
}
