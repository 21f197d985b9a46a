import { obeyed, proxyConfig } from "../../config.ts";
import type { ProxyConfig } from "../../config.ts";
import { DeweyError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { runStdioSession } from "../../proxy/proxy.ts";
import { commandLineUpstream } from "../../proxy/relay/upstreams.ts";
import type { Upstream } from "../../proxy/relay/upstreams.ts";
import { ownStdio } from "../../wire/stdio.ts";
import type { Command, Invocation } from "../command.ts";
import { usageError } from "../command.ts";
import { contextOf, readUpstreams, relayingLog, startConfiguredProxy } from "../configured-proxy.ts";
import { deliverLeft } from "../hook-delivery.ts";
import { allowManyRequests } from "../many-requests.ts";
import { ensureLocalServer } from "../local-server.ts";
import { serviceManager } from "../service-manager.ts";
import { aborted, warnOfUnknownVariables } from "../signals.ts";

export const proxy: Command = {
  name: "proxy",
  summary: "the recorder: relays MCP clients to MCP servers and records what passes",
  usage: [
    "dewey proxy [flags]",
    "dewey proxy --stdio [flags] [NAME | URL]",
    "dewey proxy --stdio [flags] -- COMMAND [ARGUMENT …]",
  ],
  examples: ["dewey proxy", "dewey proxy --stdio -- npx -y @modelcontextprotocol/server-memory"],
  about: [
    "Listens for WebSocket on any path and Streamable HTTP on /mcp, both with ?upstream=NAME. GET /healthz reports its health.",
    "SIGHUP reloads the upstreams. SIGTERM refuses new sessions, gives calls in flight ten seconds to finish, and exits.",
    "With --stdio it serves the client that started it: put `dewey proxy --stdio --` before the command of a server to",
    "record that server. The command's stderr passes unchanged, and one that does not start ends the proxy with its exit code.",
    "With --stdio, it also starts a Dewey server if none answers at DEWEY_URL and that address is local.",
  ].join(" "),
  settings: obeyed.proxy,
  flags: {
    stdio: { summary: "serve the client that started this command" },
    name: { value: "NAME", summary: "with --stdio and an address or a command: the name of that upstream" },
    sse: { summary: "with --stdio and an address: speak the older HTTP+SSE transport to it" },
    "no-auth": { summary: "listen beyond loopback without a token" },
  },
  operands: 1,
  async run(invocation) {
    const config = proxyConfig(invocation);
    const isStdio = invocation.flags["stdio"] === true;
    if (!isStdio) allowManyRequests(invocation.env);
    const log = relayingLog(config.logLevel, isStdio && process.stderr.isTTY);
    warnOfUnknownVariables(invocation.env, log);
    if (isStdio) return recordStdio(invocation, config, log);
    const [operand] = [...invocation.operands, ...(invocation.rest ?? [])];
    if (operand !== undefined) throw usageError(proxy, `takes ${JSON.stringify(operand)} only with --stdio`);
    const manager = await serviceManager(invocation.env, log);
    const running = startConfiguredProxy({ config, env: invocation.env, log, version: invocation.version });
    log.info("relaying", { url: running.url });
    manager.ready();
    await aborted(invocation.stopping);
    log.info("stopping");
    manager.stopping();
    await running.stop();
    return 0;
  },
};

/** Relays the client that started this command, until the client disconnects or the process is asked to stop. */
async function recordStdio(invocation: Invocation, config: ProxyConfig, log: Log): Promise<number> {
  const upstream = chosenUpstream(invocation, config);
  const { url, token, dataDir, spool } = config;
  deliverLeft({ url, dataDir, spoolDir: spool.folder }, invocation.env, log);
  // Do not make the client wait: recordings wait in the spool until the server is up.
  void ensureLocalServer({ url, token, dataDir, env: invocation.env, log }).catch((error: unknown) =>
    log.warn("no Dewey server is running; recordings wait on disk", { error }),
  );
  const link = ownStdio(log);
  const stopping = aborted(invocation.stopping);
  const failed = await runStdioSession(link, upstream, {
    spool,
    dewey: { url, token },
    log,
    stopping,
    stderr: writeStderr,
  });
  if (!failed) return 0;
  await writeStderr(`dewey: ${failed.message}\n`);
  return failed.exitCode;
}

/** Resolves when the text is taken, or nothing reads stderr any more. */
function writeStderr(text: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => process.stderr.write(text, () => resolve()));
}

function chosenUpstream(invocation: Invocation, config: ProxyConfig): Upstream {
  const { rest, operands } = invocation;
  const [operand] = operands;
  if (rest !== undefined && (operand !== undefined || rest.length === 0))
    throw usageError(proxy, "needs a command after --, and no operand before it");
  const address = operand ?? config.upstreamUrl;
  const words = rest ?? (address !== undefined && /^(ws|http)s?:\/\//.test(address) ? [address] : undefined);
  if (words !== undefined) {
    const name = invocation.flags["name"];
    const wire = invocation.flags["sse"] === true ? "sse" : undefined;
    const upstream = commandLineUpstream(words, contextOf(config, invocation.env), config.upstreamHeaders, wire);
    return typeof name === "string" ? { ...upstream, name } : upstream;
  }
  const upstreams = readUpstreams(config, invocation.env);
  const name = operand ?? upstreams.defaultName;
  const upstream = name === undefined ? undefined : upstreams.byName.get(name);
  if (upstream) return upstream;
  const mistakes = name === undefined ? undefined : upstreams.wrong?.get(name);
  if (mistakes !== undefined)
    throw new DeweyError("invalid", `the entry of the upstream ${JSON.stringify(name)} is wrong: ${mistakes}`);
  const known = [...upstreams.byName.keys()].join(", ");
  throw new DeweyError("invalid", `there is no upstream ${JSON.stringify(name ?? "")}; there are: ${known}`);
}
