import { Connection } from "./connection.ts";
import type { CallOptions } from "./connection.ts";
import { isSignedOut } from "./session.ts";
import type { ToolName, Tools } from "./tools.ts";

/** The connection to the server that the page came from. */
export const connection = new Connection(
  `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/mcp`,
  isSignedOut,
);

/** Calls a tool of the server. Throws a `CallError`. */
export async function call<Name extends ToolName>(
  tool: Name,
  args: Tools[Name]["takes"],
  options?: CallOptions,
): Promise<Tools[Name]["gives"]> {
  return connection.call(tool, args, options);
}
