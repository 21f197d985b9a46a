import { HttpSessions } from "../../src/wire/http-sessions.ts";
import { serveEcho, startEchoWebSocket } from "../support/echo-server.ts";
import { quiet } from "../support/quiet.ts";

// An echo server on the given wire and port, as a separate process that can be killed and frozen.

const [wire, port] = process.argv.slice(2);

if (wire === "websocket") startEchoWebSocket({ subprotocol: true, port: Number(port) });
else {
  const sessions = new HttpSessions({ opened: serveEcho, log: quiet });
  Bun.serve({
    hostname: "127.0.0.1",
    port: Number(port),
    fetch: (request, server) => sessions.handle(request, server),
  });
}
