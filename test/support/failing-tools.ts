import type { Page } from "playwright-core";

/** A call as the page sends it. */
export interface ToolCall {
  name: string;
  arguments: Record<string, unknown>;
}

/** Calls of the page that fail. */
export interface FailingTools {
  /** Whether a call fails now; none does to begin with. */
  fails: (call: ToolCall) => boolean;
  /** Whether a call is not passed on until `letGo`; to begin with, each is passed on. */
  holds: (call: ToolCall) => boolean;
  /** Passes on what was held, and holds nothing more. */
  letGo(): void;
  /** How many calls have failed. */
  count: number;
}

interface Frame {
  id?: number;
  method?: string;
  params?: ToolCall;
}

/** What a failed call says. */
export const FAILURE = "the database is away";

/** Stands between the page and the server, and answers the calls that are to fail as the server does when its database is away. */
export async function failingTools(page: Page): Promise<FailingTools> {
  const held: (() => void)[] = [];
  const failing: FailingTools = {
    fails: () => false,
    holds: () => false,
    letGo() {
      failing.holds = () => false;
      for (const pass of held.splice(0)) pass();
    },
    count: 0,
  };
  await page.routeWebSocket(/\/mcp$/, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((text) => {
      const { id, method, params } = JSON.parse(String(text)) as Frame;
      const call = method === "tools/call" ? params : undefined;
      if (call !== undefined && failing.holds(call)) {
        held.push(() => server.send(text));
        return;
      }
      if (call === undefined || !failing.fails(call)) {
        server.send(text);
        return;
      }
      failing.count += 1;
      const error = { code: "unavailable", message: FAILURE };
      const result = { isError: true, content: [{ type: "text", text: JSON.stringify({ error }) }] };
      socket.send(JSON.stringify({ jsonrpc: "2.0", id, result }));
    });
  });
  return failing;
}
