import { obeyed, proxyConfig, serveConfig } from "../../config.ts";
import { settings } from "../../settings.ts";
import type { Command } from "../command.ts";
import { startAttachedWatch } from "../attached-watch.ts";
import { relayingLog, startConfiguredProxy } from "../configured-proxy.ts";
import { aborted, warnOfUnknownVariables } from "../signals.ts";

const steps = {
  unpacking: "Unpacking the PostgreSQL that Dewey carries …",
  initializing: "Creating a database …",
  "carrying over": "Upgrading the data to the newer PostgreSQL that Dewey carries …",
  starting: "Starting PostgreSQL …",
};

export const up: Command = {
  name: "up",
  summary: "runs server and proxy in one process: the quickest way to try Dewey",
  usage: ["dewey up [flags]"],
  examples: ["dewey up", "dewey up --data-dir ~/dewey"],
  about:
    "It also stores the sessions of all agents on this machine, as dewey watch does, unless DEWEY_WATCH=off. The ports come " +
    "from DEWEY_MCP_PORT and DEWEY_PROXY_PORT. Ctrl-C stops everything.",
  // Without `url`, because this command starts the server itself.
  settings: [...new Set([...obeyed.serve, ...obeyed.proxy])].filter((name) => name !== "url"),
  flags: {},
  operands: 0,
  async run(invocation) {
    const { print, version } = invocation;
    const config = serveConfig(invocation);
    const proxySettings = proxyConfig(invocation);
    // Progress is printed to stdout in words; the log is for problems.
    const log = relayingLog(config.logLevel === "info" ? "warn" : config.logLevel, false);
    warnOfUnknownVariables(invocation.env, log);
    await using stack = new AsyncDisposableStack();
    const { startServer } = await import("../server.ts");
    const server = await startServer({ config, log, version, onProgress: (step) => print(`${steps[step]}\n`) });
    stack.defer(() => server.stop());
    const url = `ws${config.tls ? "s" : ""}://localhost:${server.listener.port}`;
    const proxy = startConfiguredProxy({ config: { ...proxySettings, url }, env: invocation.env, log, version });
    stack.defer(() => proxy.stop());
    stack.use(startAttachedWatch(config, url, invocation.env, log));
    print(welcome(url, `ws${config.tls ? "s" : ""}://localhost:${proxy.port}`, config.watch));
    await aborted(invocation.stopping);
    print("\nStopping …\n");
    return 0;
  },
};

/** What to do next, and the addresses. */
function welcome(serverUrl: string, proxyUrl: string, isWatching: boolean): string {
  // Other commands know the default address by themselves.
  const address = serverUrl === settings.url.default ? "" : ` --url ${serverUrl}`;
  return [
    "Ready. In another terminal, connect a client (claude-code, codex or gemini), and ask:",
    `  dewey connect claude-code${address}`,
    `  dewey search WORDS${address}`,
    "",
    `  server  ${serverUrl}  (also ${serverUrl.replace("ws", "http")}/mcp)`,
    `  proxy   ${proxyUrl}  (choose the server behind it with ?upstream=NAME)`,
    ...(isWatching
      ? ["  watch   the sessions of all agents on this machine are stored (DEWEY_WATCH=off ends that)"]
      : []),
    "",
    "Ctrl-C stops everything.",
    "",
  ].join("\n");
}
