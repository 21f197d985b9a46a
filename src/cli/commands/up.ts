import { allowManyRequests } from "../many-requests.ts";
import { DeweyError } from "../../errors.ts";
import { ToolClient } from "../../tool-client.ts";
import { isObject } from "../../wire/frame.ts";
import { requireOwnServer } from "../../wire/owner.ts";
import { obeyed, proxyConfig, serveConfig } from "../../config.ts";
import { settings } from "../../settings.ts";
import type { Command, Invocation } from "../command.ts";
import { startAttachedWatch } from "../attached-watch.ts";
import { relayingLog, startConfiguredProxy } from "../configured-proxy.ts";
import { askHealth, proxyAt } from "../health.ts";
import { explained, proseWidth } from "../prose.ts";
import { aborted, warnOfUnknownVariables } from "../signals.ts";

/** What a command does begins at most here in the list of what to do next, so that it fits beside the command. */
const STEP_CHARACTERS = 40;

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
    "The way of running that is meant for one person, to watch it at work; without it, clients and commands start the server " +
    "when they need it. It also stores the sessions of all agents on this machine, as dewey watch does, unless DEWEY_WATCH=off. " +
    "The ports come from DEWEY_MCP_PORT and DEWEY_PROXY_PORT. Ctrl-C stops everything. Where a server runs already, only the " +
    "proxy is started; where both do, it says how to stop them.",
  // Without `url`, because this command starts the server itself.
  settings: [...new Set([...obeyed.serve, ...obeyed.proxy])].filter((name) => name !== "url"),
  flags: {},
  operands: 0,
  async run(invocation) {
    allowManyRequests(invocation.env);
    const { print, typed, version } = invocation;
    const config = serveConfig(invocation);
    const proxySettings = proxyConfig(invocation);
    // Progress is printed to stdout in words; the log is for problems.
    const logLevel = config.logLevel === "info" ? "warn" : config.logLevel;
    const log = relayingLog(logLevel, false);
    warnOfUnknownVariables(invocation.env, log);
    const at = (port: number) => `ws${config.tls ? "s" : ""}://localhost:${port}`;
    const known = await runningServer(at(config.port), config.token);
    const relay = known === undefined ? undefined : await proxyAt(proxySettings.port, config.token);
    if (known !== undefined && relay !== undefined) {
      const runs = typed("Dewey runs already; to stop it: dewey stop");
      print(`${runs}\n\n${welcome(known, relay.url, "elsewhere", typed)}`);
      return 0;
    }
    await using stack = new AsyncDisposableStack();
    const url = known ?? at(await startedServer());
    if (known !== undefined) stack.use(await held(known, config.token));
    const proxy = startConfiguredProxy({ config: { ...proxySettings, url }, env: invocation.env, log, version });
    stack.defer(() => proxy.stop());
    // A server that a command or a client has started follows the sessions itself.
    if (known === undefined)
      stack.use(startAttachedWatch(config, url, { ...invocation.env, DEWEY_LOG_LEVEL: logLevel }, log));
    const watch = config.watch && known === undefined ? "here" : "elsewhere";
    const [joined, stops] = known === undefined ? ["", "everything"] : [JOINED, "the proxy"];
    print(`${typed(joined)}${welcome(url, at(proxy.port), watch, typed)}\nCtrl-C stops ${stops}.\n`);

    async function startedServer(): Promise<number> {
      const { startServer } = await import("../server.ts");
      const server = await startServer({ config, log, version, onProgress: (step) => print(`${steps[step]}\n`) });
      stack.defer(() => server.stop());
      return server.listener.port;
    }
    await aborted(invocation.stopping);
    print("\nStopping …\n");
    return 0;
  },
};

const JOINED =
  "A server runs already, started by a command or a client. It is used,\nand stays after Ctrl-C; dewey stop ends it.\n\n";

/** The address, when a server answers there. Throws `unavailable` for another user's, and `invalid` for another program. */
async function runningServer(url: string, token: string | undefined): Promise<string | undefined> {
  const response = await askHealth(url);
  if (response === undefined) return undefined;
  const health: unknown = await response.json().catch(() => undefined);
  if (!isObject(health) || !("database" in health)) {
    const remedy = "stop it, or choose another port: DEWEY_MCP_PORT";
    throw new DeweyError("unavailable", `another program listens on the port of ${url}; ${remedy}`);
  }
  requireOwnServer({ url, token });
  return url;
}

/** A connection that keeps a server from ending for want of clients. */
async function held(url: string, token: string | undefined): Promise<AsyncDisposable> {
  const client = new ToolClient({ url, token });
  await client.call("dewey_list_startup_contexts", {});
  return { [Symbol.asyncDispose]: () => client.close() };
}

/** What to do next, and the addresses. */
function welcome(serverUrl: string, proxyUrl: string, watch: "here" | "elsewhere", typed: Invocation["typed"]): string {
  // Other commands know the default address by themselves.
  const address = serverUrl === settings.url.default ? "" : ` --url ${serverUrl}`;
  const steps = [
    [`dewey connect claude-code${address}`, "keeps its sessions from then on (or codex, gemini)"],
    [`dewey import${address}`, "brings in the sessions of this machine"],
    [`dewey search WORDS${address}`, "finds what was said"],
  ].map(([command = "", does = ""]) => [typed(command), does] as const);
  const watched: [string, string] = [
    "watch ",
    "the sessions of all agents on this machine are stored (DEWEY_WATCH=off ends that)",
  ];
  const places: [string, string][] = [
    ["server", `${serverUrl}  (also ${serverUrl.replace("ws", "http")}/mcp)`],
    ["proxy ", `${proxyUrl}  (?upstream=NAME chooses the server behind it)`],
    ...(watch === "here" ? [watched] : []),
  ];
  const width = proseWidth();
  return [
    "Ready. In another terminal:",
    ...explained(steps, width, STEP_CHARACTERS),
    "",
    ...explained(places, width, STEP_CHARACTERS),
    "",
  ].join("\n");
}
