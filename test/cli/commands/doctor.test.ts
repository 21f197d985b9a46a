import { describe, expect, test } from "bun:test";
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { binary, run, startServe } from "../../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../../support/home.ts";
import { freePort } from "../../support/ports.ts";
import { Rpc } from "../../support/rpc.ts";

interface Report {
  code: number;
  checks: Record<string, { name: string; state: string; text: string; remedy?: string }>;
}

async function report(env: Record<string, string>): Promise<Report> {
  const { stdout, code } = await run(["doctor", "--json"], env);
  const { checks } = JSON.parse(stdout) as { checks: Report["checks"][string][] };
  return { code, checks: Object.fromEntries(checks.map((check) => [check.name, check])) };
}

describe("dewey doctor", () => {
  test("prints one line per check, and exits 0 when there is no fault", async () => {
    using home = temporaryHome();
    const { running, url } = await startServe(home.path);
    const env = {
      ...plainEnvironment(home.path),
      DEWEY_URL: url,
      DEWEY_DATA_DIR: join(home.path, "data"),
      DEWEY_PROXY_PORT: `${freePort()}`,
    };
    const { stdout, stderr, code } = await run(["doctor"], env);
    expect([code, stderr]).toEqual([0, ""]);
    const names = [
      "configuration",
      "versions",
      "server",
      "database",
      "replica",
      "search",
      "meaning",
      "engine",
      "disk",
      "spool",
      "upstreams",
      "clients",
      "hooks",
    ];
    expect(
      stdout
        .trim()
        .split("\n")
        .map((line) => line.split(/ +/)[1]),
    ).toEqual(names);
    expect(stdout).toMatch(/✓ database +PostgreSQL 18\.\d+, schema \d{4}_/);
    expect(stdout).toMatch(/✓ search +in english/);
    const german = await report({ ...env, DEWEY_SEARCH_LANGUAGE: "german" });
    expect(german.checks).toMatchObject({
      search: { state: "fault", remedy: expect.stringContaining("dewey reindex") },
    });
    expect(stdout).toMatch(/✓ versions +Dewey \d+\.\d+\.\d+, carrying PostgreSQL 18/);
    await run(["connect", "claude-code", "--url", url, "--data-dir", join(home.path, "data")], env);
    const connected = await report(env);
    expect(connected.checks).toMatchObject({ clients: { state: "ok", text: "connected: Claude Code" } });
    await running.stop();
  });

  test("names each fault with its remedy, and exits 1", async () => {
    using home = temporaryHome();
    const spool = join(home.path, "spool");
    mkdirSync(spool);
    const old = join(spool, `${crypto.randomUUID()}-000001.spool`);
    writeFileSync(old, "x");
    utimesSync(old, new Date(0), new Date(0));
    const upstreams = join(home.path, "upstreams.json");
    writeFileSync(upstreams, JSON.stringify({ mcpServers: { gone: { command: "no-such-command" } } }));
    writeFileSync(
      join(home.path, ".claude.json"),
      JSON.stringify({ mcpServers: { dewey: { command: "/no/such/dewey" } } }),
    );
    const { code, checks } = await report({
      ...plainEnvironment(home.path),
      DEWEY_URL: `ws://localhost:${freePort()}`,
      DEWEY_DATABASE_URL: `postgres://dewey:hidden@127.0.0.1:${freePort()}/winni`,
      DEWEY_SPOOL_DIR: spool,
      DEWEY_PROXY_CONFIG: upstreams,
      DEWEY_PROXY_PORT: `${freePort()}`,
      DEWEY_TOKKEN: "x",
    });
    expect(code).toBe(1);
    expect(checks).toMatchObject({
      configuration: { state: "fault", text: expect.stringContaining("DEWEY_TOKKEN"), remedy: expect.any(String) },
      server: {
        state: "fault",
        text: expect.stringMatching(/^no server runs at /),
        remedy: expect.stringContaining("dewey up"),
      },
      database: { state: "fault", text: expect.stringContaining("the database cannot be reached") },
      search: { state: "note" },
      engine: { state: "note" },
      spool: { state: "fault", remedy: expect.stringContaining("dewey proxy") },
      upstreams: { state: "fault", text: expect.stringContaining("no-such-command") },
      clients: { state: "fault", remedy: "dewey connect claude-code" },
      hooks: { state: "fault", remedy: "dewey connect claude-code" },
    });
    expect(JSON.stringify(checks)).not.toContain("hidden");
  });

  test("tells a program that is not Dewey, and a proxy, from a server", async () => {
    using home = temporaryHome();
    using web = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("hello") });
    using mute = Bun.listen({ port: 0, hostname: "127.0.0.1", socket: { data: (socket) => void socket.end() } });
    using proxy = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => Response.json({ recorder: {} }) });
    const serverAt = async (port: number | undefined) =>
      (await report({ ...plainEnvironment(home.path), DEWEY_URL: `ws://localhost:${port}` })).checks["server"];
    for (const { port } of [web, mute])
      expect(await serverAt(port)).toEqual({
        name: "server",
        state: "fault",
        text: `a program that is not Dewey listens at ws://localhost:${port}/`,
        remedy: expect.stringContaining("DEWEY_MCP_PORT"),
      });
    expect(await serverAt(proxy.port)).toMatchObject({
      text: `ws://localhost:${proxy.port}/ is the address of a proxy, not of a server`,
      remedy: expect.stringContaining("DEWEY_URL"),
    });
  });

  test("names events that wait because hooks lack the server's token", async () => {
    using home = temporaryHome();
    const { running, url } = await startServe(home.path, { DEWEY_TOKEN: "right" });
    await using _ = running;
    const queue = join(home.path, "spool/hooks");
    mkdirSync(queue, { recursive: true });
    const event = join(queue, `${Bun.randomUUIDv7()}.event`);
    writeFileSync(event, "{}");
    const env = {
      ...plainEnvironment(home.path),
      DEWEY_URL: url,
      DEWEY_TOKEN: "right",
      DEWEY_SPOOL_DIR: join(home.path, "spool"),
      DEWEY_PROXY_PORT: `${freePort()}`,
    };
    expect((await report(env)).checks["spool"]).toMatchObject({ state: "ok" });
    const old = new Date(Date.now() - 5 * 60_000);
    utimesSync(event, old, old);
    expect((await report(env)).checks["spool"]).toMatchObject({
      state: "fault",
      text: "1 event of hooks waits: the server wants a token, which the client's hooks do not have",
      remedy: expect.stringContaining("DEWEY_TOKEN"),
    });
  });

  test("names a client that has Dewey twice", async () => {
    using home = temporaryHome();
    const env = { ...plainEnvironment(home.path), DEWEY_URL: `ws://localhost:${freePort()}` };
    const dewey = { command: "/bin/sh", args: ["serve", "--stdio"] };
    const configure = (mcpServers: object) =>
      writeFileSync(join(home.path, ".claude.json"), JSON.stringify({ mcpServers }));
    configure({ dewey, files: { command: "/bin/sh", args: ["files"] } });
    expect((await report(env)).checks["clients"]).toMatchObject({ state: "ok", text: "connected: Claude Code" });
    configure({ dewey, again: { type: "ws", url: env.DEWEY_URL } });
    expect((await report(env)).checks["clients"]).toMatchObject({
      state: "fault",
      text: expect.stringMatching(/^Claude Code has Dewey 2 times.*: dewey in .*\.claude\.json, again in /),
    });
  });

  test("ends cleanly when its reader takes the first line only", async () => {
    using home = temporaryHome();
    const env = { ...plainEnvironment(home.path), DEWEY_URL: `ws://localhost:${freePort()}` };
    const child = Bun.spawnSync(["/bin/sh", "-c", `"${binary}" doctor | head -1`], {
      env,
    });
    expect([child.stdout.toString(), child.stderr.toString()]).toEqual([
      expect.stringMatching(/^✓ configuration +all settings are valid\n$/),
      "",
    ]);
  });

  test("reports every mistake of the configuration", async () => {
    using home = temporaryHome();
    const { code, stdout } = await run(["doctor"], { ...plainEnvironment(home.path), DEWEY_MCP_PORT: "many" });
    expect(code).toBe(1);
    expect(stdout).toMatch(/^✗ configuration +The configuration is wrong: DEWEY_MCP_PORT should be/m);
    // The checks that need it say so, without repeating the mistakes.
    expect(stdout.split("DEWEY_MCP_PORT should be")).toHaveLength(2);
    expect(stdout).toMatch(/^· \w+ +not checked: the configuration is wrong$/m);
  });
});

describe("dewey completions", () => {
  const script = async (shell: string) => (await run(["completions", shell], { PATH: "/usr/bin:/bin" })).stdout;
  const ask = (command: string[]) =>
    Bun.spawnSync(command, { env: { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent" } });

  test("complete commands and flags in bash", async () => {
    const definition = await script("bash");
    const complete = (words: string[]) =>
      ask([
        "/bin/bash",
        "-c",
        `${definition}\nCOMP_WORDS=(${words.join(" ")}) COMP_CWORD=${words.length - 1}; _dewey; echo "\${COMPREPLY[*]}"`,
      ])
        .stdout.toString()
        .trim();
    expect(complete(["dewey", "sea"])).toBe("search");
    expect(complete(["dewey", "help", "rest"])).toBe("restore");
    expect(complete(["dewey", "search", "--sin"])).toBe("--since");
    expect(complete(["dewey", "list", "x"])).toBe("");
    expect(complete(["dewey", "connect", "c"])).toBe("claude-code codex");
    expect(complete(["dewey", "context", "h"])).toBe("history");
    expect(complete(["dewey", "search", "--role", "us"])).toBe("user");
    expect(complete(["dewey", "export", "--format", "''"])).toBe("jsonl markdown html");
    expect(complete(["dewey", "list", "--sort", "c"])).toBe("created");
  });

  test("complete clients, titles, contexts and recent ids, and nothing without a server", async () => {
    using home = temporaryHome();
    const { running, url } = await startServe(home.path);
    await using _ = running;
    const env = { ...plainEnvironment(home.path), DEWEY_URL: url };
    const rpc = await Rpc.open(url);
    await rpc.initialize();
    const metadata = { client_name: "codex", title: "A $(flaky) test" };
    const { conversation_id: id } = await rpc.tool("dewey_begin_conversation", { metadata });
    await rpc.tool("dewey_set_startup_context", { name: "house rules", content: "x" });
    rpc.close();
    const definition = await script("bash");
    const complete = (...words: string[]) => {
      const typed = [binary, ...words].map((word) => `'${word}'`).join(" ");
      const end = `COMP_WORDS=(${typed}) COMP_CWORD=${words.length}; _dewey; printf '%s\\n' "\${COMPREPLY[@]}"`;
      return Bun.spawnSync(["/bin/bash", "-c", `${definition}\n${end}`], { env })
        .stdout.toString()
        .trim();
    };
    const short = String(id).slice(0, 13);
    expect(complete("show", short.slice(0, 4))).toBe(short);
    expect(complete("resume", "flaky")).toBe(short);
    expect(complete("search", "--client", "co")).toBe("codex");
    expect(complete("search", "--title", "a")).toBe(String.raw`A\ \$\(flaky\)\ test`);
    expect(complete("context", "use", "ho")).toBe(String.raw`house\ rules`);
    const names = async (kind: string) => (await run(["completions", "--names", kind, "--", ""], env)).stdout;
    expect(await names("ids")).toBe(`${short}\tA $(flaky) test\n`);
    expect(await names("nothing")).toBe("");
    const away = await run(["completions", "--names", "ids"], { ...env, DEWEY_URL: `ws://localhost:${freePort()}` });
    expect(away).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  test.skipIf(Bun.which("fish") === null)("complete commands and flags in fish", async () => {
    using home = temporaryHome();
    const file = join(home.path, "dewey.fish");
    writeFileSync(file, await script("fish"));
    const complete = (line: string) =>
      Bun.spawnSync(["fish", "--no-config", "-c", `source ${file}; complete -C ${JSON.stringify(line)}`], {
        env: { PATH: process.env["PATH"] ?? "", HOME: home.path },
      }).stdout.toString();
    expect(complete("dewey sea")).toStartWith("search\t");
    expect(complete("dewey search --sin")).toStartWith("--since");
    expect(complete("dewey search --role us")).toStartWith("user\t");
    // No file is offered where none is meant.
    expect(complete(`dewey list --limit ${home.path}/`)).toBe("");
    expect(complete(`dewey proxy --config ${home.path}/`)).toContain("dewey.fish");
  });

  test.skipIf(Bun.which("zsh") === null)("load in zsh without errors", async () => {
    using home = temporaryHome();
    const file = join(home.path, "_dewey");
    writeFileSync(file, await script("zsh"));
    const child = Bun.spawnSync(
      ["zsh", "-f", "-c", `autoload -Uz compinit && compinit -u -D && source ${file} && print $_comps[dewey]`],
      { env: { PATH: process.env["PATH"] ?? "", HOME: home.path }, stderr: "pipe" },
    );
    expect([child.stdout.toString().trim(), child.stderr.toString()]).toEqual(["_dewey", ""]);
  });

  test("list the shells when the name is wrong or missing", async () => {
    expect(await run(["completions", "tcsh"], {})).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("bash, zsh or fish"),
    });
    expect(await run(["completions"], {})).toMatchObject({ code: 2 });
  });
});
