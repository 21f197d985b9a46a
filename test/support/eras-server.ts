import { serveStdio } from "@modelcontextprotocol/server/stdio";
import type { ServeStdioOptions } from "@modelcontextprotocol/server/stdio";
import { LineLink } from "../../src/wire/line-link.ts";
import type { Link } from "../../src/wire/link.ts";
import { linkTransport } from "../../src/wire/transport.ts";
import { acceptedWebSocket } from "../../src/wire/websocket.ts";
import type { Accepted } from "../../src/wire/websocket.ts";
import { serveEcho } from "./echo-server.ts";
import { createStrictServer } from "./strict-server.ts";

/**
 * Servers by the revisions of MCP that they speak, over a connection: `both` eras or only the `newest`, by the SDK that has
 * both; only `earlier` ones; earlier ones without a word before `initialize` (`silent`), or with an end (`leaving`).
 */
export type Era = "both" | "newest" | "earlier" | "silent" | "leaving";

function serve(era: Era, link: Link): void {
  if (era === "both" || era === "newest") {
    const transport = linkTransport(link) as unknown as NonNullable<ServeStdioOptions["transport"]>;
    serveStdio(createStrictServer, { transport, legacy: era === "both" ? "serve" : "reject" });
  } else
    serveEcho(era === "earlier" ? link : uninitialized(link, era === "leaving" ? () => process.exit(1) : () => {}));
}

/** A link whose frames before `initialize` are not heard. */
function uninitialized(link: Link, early: () => void): Link {
  let isInitialized = false;
  return {
    wire: link.wire,
    open: (handlers) =>
      link.open({
        ...handlers,
        frame(text) {
          isInitialized ||= text.includes('"method":"initialize"');
          if (isInitialized) handlers.frame(text);
          else early();
        },
      }),
    send: (frame) => link.send(frame),
    pause: () => link.pause(),
    resume: () => link.resume(),
    close: () => link.close(),
  };
}

/** The command line of such a server on stdio. */
export const eraCommand = (era: Era) => ({ command: process.execPath, args: [import.meta.path, era] });

/** Such a server over WebSocket on a free port. */
export function startEraWebSocket(era: Era): { url: string; stop(): Promise<void> } {
  const server = Bun.serve<Accepted>({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request, server) {
      const opened = (link: Link) => serve(era, link);
      const headers = { "sec-websocket-protocol": "mcp" };
      return server.upgrade(request, { data: { opened }, headers }) ? undefined : new Response(null, { status: 400 });
    },
    websocket: acceptedWebSocket,
  });
  return { url: `ws://127.0.0.1:${server.port}/`, stop: () => server.stop(true) };
}

if (import.meta.main) {
  const output = Bun.stdout.writer();
  serve(
    process.argv[2] as Era,
    new LineLink({
      input: Bun.stdin.stream(),
      output,
      end: () => void output.end(),
      reason: () => Promise.resolve(""),
      onNoise: () => {},
      onFailure: () => {},
    }),
  );
}
