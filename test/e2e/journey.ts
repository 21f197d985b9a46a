import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { hostTarget } from "../../src/build/engine.ts";
import { claudeCode } from "../support/claude-code.ts";
import { temporaryHome } from "../support/home.ts";
import { leaveNothing, runEnvironment } from "../support/leftovers.ts";
import { say, startModel, use } from "../support/model.ts";
import { startNpmRegistry } from "../support/npm-registry.ts";
import { freePort } from "../support/ports.ts";
import { startProgram } from "../support/running.ts";

// `bun run journey`: a stranger with Node and Claude Code, and with nothing else, installs Dewey from its packed packages and finds
// what was said in a session. A stopwatch runs; the journey may take two minutes and four commands of the person. The model is
// a stand-in, so no account is needed, and nothing leaves the machine.

const MAX_SECONDS = 120;
const MAX_COMMANDS = 4;
/** How long a search may wait for what the session's hooks have queued. */
const FOUND_WITHIN_MS = 20_000;

leaveNothing();
const root = join(import.meta.dir, "../..");
const { version } = packageJson;

const claude = await claudeCode();
if (claude === undefined) throw new Error("the journey needs Claude Code, which could not be installed");
using home = temporaryHome();
await using registry = await startNpmRegistry(packed());
const model = startModel((told) =>
  told === "toolu_shell"
    ? [say("The greenhouse stays shut: the hinge is rusty.")]
    : [say("I look at the hinge."), use("toolu_shell", "Bash", { command: "echo rusty", description: "look" })],
);
const env = environment();
const begun = performance.now();
let commands = 0;
try {
  await person("npm", ["install", "--global", "dewey-mcp"]);
  log("$ dewey up");
  commands += 1;
  await using up = startProgram(join(home.path, "npm/bin/dewey"), ["up"], env, home.path);
  await up.until("stdout", /Ctrl-C stops everything/);
  print(up.stdout());
  log("the server is ready");
  await person("dewey", ["connect", "claude-code"]);
  const session = Bun.spawn([claude, "-p", "Why does the greenhouse not open?", "--allowedTools", "Bash"], {
    cwd: join(home.path, "project"),
    env: { ...env, ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: "sk-ant-none" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  log(`Claude Code answers: ${(await new Response(session.stdout).text()).trim()}`);
  const search = ["search", "greenhouse", "hinge"];
  commands += 1;
  log(`$ dewey ${search.join(" ")}`);
  print(await found("dewey", search, "is rusty"));
  log("what the session said is found");
  if ((await up.stop("SIGINT")) !== 0) throw new Error("dewey up did not end well");
} finally {
  await model.stop();
}
const seconds = (performance.now() - begun) / 1000;
console.log(`\n${seconds.toFixed(1)} seconds of ${MAX_SECONDS}, ${commands} commands of ${MAX_COMMANDS}`);
process.exitCode = seconds <= MAX_SECONDS && commands <= MAX_COMMANDS ? 0 : 1;

/** Nothing of this machine but Node, npm and a shell; the registry is the one with the packed packages. */
function environment(): Record<string, string> {
  const bin = join(home.path, "bin");
  mkdirSync(bin);
  mkdirSync(join(home.path, "project"));
  for (const name of ["node", "npm", "sh", "bash", "env"]) {
    const path = Bun.which(name);
    if (path === null) throw new Error(`the journey needs ${name}`);
    symlinkSync(path, join(bin, name));
  }
  writeFileSync(join(home.path, ".claude.json"), JSON.stringify({ hasCompletedOnboarding: true }));
  const port = freePort();
  return {
    ...runEnvironment(),
    PATH: `${join(home.path, "npm/bin")}:${bin}`,
    HOME: home.path,
    // Root's data folder is another one.
    XDG_DATA_HOME: join(home.path, ".local/share"),
    npm_config_prefix: join(home.path, "npm"),
    npm_config_registry: registry.url,
    npm_config_update_notifier: "false",
    // Other ports than a stranger's, since a server may run on this machine.
    DEWEY_MCP_PORT: `${port}`,
    DEWEY_URL: `ws://localhost:${port}`,
    DEWEY_PROXY_PORT: `${freePort()}`,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    DISABLE_AUTOUPDATER: "1",
  };
}

/** The paths of the packed packages for this machine. */
function packed(): string[] {
  const names = ["dewey-mcp", `dewey-mcp-${hostTarget}`];
  const paths = names.map((name) => join(root, "dist/release", version, `${name}-${version}.tgz`));
  const missing = paths.find((path) => !existsSync(path));
  if (missing !== undefined) throw new Error(`${missing} is missing: make it with bun run release`);
  return paths;
}

/** Runs one of the person's commands, and prints what it said. Throws when it fails. */
async function person(program: string, args: string[]): Promise<void> {
  commands += 1;
  log(`$ ${program} ${args.join(" ")}`);
  const { output, code } = await ran(program, args);
  print(output);
  if (code !== 0) throw new Error(`${program} ended with ${code}`);
}

/** What a search prints once it finds a text: the hooks deliver in the background. */
async function found(program: string, args: string[], text: string): Promise<string> {
  const deadlineMs = performance.now() + FOUND_WITHIN_MS;
  for (;;) {
    const { output } = await ran(program, args);
    if (output.includes(text)) return output;
    if (performance.now() > deadlineMs) throw new Error(`the search does not find "${text}": ${output}`);
  }
}

async function ran(program: string, args: string[]): Promise<{ output: string; code: number }> {
  const path = Bun.which(program, { PATH: env["PATH"] ?? "" });
  if (path === null) throw new Error(`${program} is not installed`);
  const child = Bun.spawn([path, ...args], { cwd: home.path, env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { output: stdout + stderr, code };
}

/** One line with the seconds since the start. */
function log(text: string): void {
  console.log(`${((performance.now() - begun) / 1000).toFixed(1).padStart(5)} s  ${text}`);
}

function print(text: string): void {
  for (const line of text.trim().split("\n")) console.log(`         ${line}`);
}
