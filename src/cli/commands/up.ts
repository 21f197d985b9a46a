import { obeyed, proxyConfig, serveConfig } from "../../config.ts";
import type { Command } from "../command.ts";
import { relayingLog, startConfiguredProxy } from "../configured-proxy.ts";
import { aborted, warnOfUnknownVariables } from "../signals.ts";

const steps = {
  unpacking: "Unpacking the PostgreSQL that Dewey carries …",
  initializing: "Making a database …",
  "carrying over": "Carrying the data over to the newer PostgreSQL that this Dewey carries …",
  starting: "Starting PostgreSQL …",
};

export const up: Command = {
  name: "up",
  summary: "server and proxy together in one process: the quickest way to try Dewey",
  usage: ["dewey up [flags]"],
  about: "The ports come from DEWEY_MCP_PORT and DEWEY_PROXY_PORT. Ctrl-C stops everything.",
  // The address of the server is known here: it is the one that this command starts.
  settings: [...new Set([...obeyed.serve, ...obeyed.proxy])].filter((name) => name !== "url"),
  flags: {},
  operands: 0,
  async run(invocation) {
    const { print, version } = invocation;
    const config = serveConfig(invocation);
    const proxySettings = proxyConfig(invocation);
    // What goes well is told in words on stdout; the log is for what does not.
    const log = relayingLog(config.logLevel === "info" ? "warn" : config.logLevel);
    warnOfUnknownVariables(invocation.env, log);
    await using stack = new AsyncDisposableStack();
    const { startServer } = await import("../server.ts");
    const server = await startServer({ config, log, version, onProgress: (step) => print(`${steps[step]}\n`) });
    stack.defer(() => server.stop());
    const url = `ws${config.tls ? "s" : ""}://localhost:${server.listener.port}`;
    const proxy = startConfiguredProxy({ config: { ...proxySettings, url }, env: invocation.env, log, version });
    stack.defer(() => proxy.stop());
    print(welcome(url, `ws${config.tls ? "s" : ""}://localhost:${proxy.port}`));
    await aborted(invocation.stopping);
    print("\nStopping …\n");
    return 0;
  },
};

/** Where everything is, and the line that connects the client that most people have. */
function welcome(serverUrl: string, proxyUrl: string): string {
  const entry = JSON.stringify({ type: "ws", url: `${proxyUrl}/?upstream=dewey` });
  return [
    "Ready.",
    `  server  ${serverUrl}  (also ${serverUrl.replace("ws", "http")}/mcp)`,
    `  proxy   ${proxyUrl}  (choose the server behind it with ?upstream=NAME)`,
    "",
    "Connect Claude Code:",
    `  claude mcp add-json dewey '${entry}'`,
    "",
    "Ctrl-C stops everything.",
    "",
  ].join("\n");
}
