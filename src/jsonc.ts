/**
 * Parses JSON with comments and trailing commas, as editors and many MCP clients write it, and with a byte order mark.
 * Throws a `SyntaxError` for anything else. Takes time linear in the text.
 */
export function parseJsonc(text: string): unknown {
  return JSON.parse(asJson(text));
}

/** The text with spaces for comments and trailing commas, so that positions in errors stay right. */
function asJson(text: string): string {
  const parts: string[] = [];
  /** The last part that counts, and its position. */
  let last = { token: "", at: -1 };
  let beforeLast = "";
  for (const [token] of text.replace(/^\uFEFF/, "").matchAll(TOKENS)) {
    const isComment = token.startsWith("//") || token.startsWith("/*");
    const isTrailing = last.token === "," && (token === "}" || token === "]") && !",{[".includes(beforeLast || ",");
    if (isTrailing) parts[last.at] = " ";
    if (!isComment && token.trim() !== "") {
      beforeLast = last.token;
      last = { token, at: parts.length };
    }
    parts.push(isComment ? token.replace(/[^\r\n]/g, " ") : token);
  }
  return parts.join("");
}

/** Comments, strings, white space, marks, and anything else. A string or comment without end goes on to the end. */
const TOKENS = /\/\/[^\r\n]*|\/\*(?:[^*]|\*(?!\/))*(?:\*\/)?|"(?:[^"\\]+|\\[^])*"?|\s+|[,{}[\]]|[^\s",{}[\]/]+|[^]/g;
