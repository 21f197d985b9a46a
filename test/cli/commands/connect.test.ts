import { describe, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { binary, run, start, startServe } from "../../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../../support/home.ts";
import { Rpc, until } from "../../support/rpc.ts";

/** A home folder with these files. */
function person(files: Record<string, object | string> = {}) {
  const home = temporaryHome();
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(home.path, name)), { recursive: true });
    writeFileSync(
      join(home.path, name),
      typeof content === "string" ? content : `${JSON.stringify(content, null, 4)}\n`,
    );
  }
  const env = plainEnvironment(home.path);
  return {
    path: home.path,
    env,
    text: (name: string) => readFileSync(join(home.path, name), "utf8"),
    json: (name: string) => JSON.parse(readFileSync(join(home.path, name), "utf8")) as Record<string, unknown>,
    has: (name: string) => existsSync(join(home.path, name)),
    dewey: (...args: string[]) => run(args, env),
    /** The environment with the binary on the PATH, under its name. */
    onPath() {
      mkdirSync(join(home.path, "bin"), { recursive: true });
      if (!existsSync(join(home.path, "bin/dewey"))) symlinkSync(binary, join(home.path, "bin/dewey"));
      return { ...env, DEWEY_DATA_DIR: join(home.path, "data"), PATH: `${join(home.path, "bin")}:${env["PATH"]}` };
    },
    [Symbol.dispose]: () => home[Symbol.dispose](),
  };
}

const stdio = { command: "npx", args: ["-y", "server"] };
const claude = {
  numStartups: 3,
  mcpServers: { files: stdio, oauth: { type: "http", url: "https://example.org/mcp", oauth: { clientId: "x" } } },
  projects: { "/work": { mcpServers: { local: { command: "serve" } }, history: ["x"] } },
};
const settings = { model: "opus", hooks: { Stop: [{ hooks: [{ type: "command", command: "bell" }] }] } };

describe("dewey connect claude-code", () => {
  test("puts its servers behind the proxy, adds Dewey and hooks, keeps the rest, and reports all of it", async () => {
    using ada = person({ ".claude.json": claude, ".claude/settings.json": settings });
    const { stdout, stderr, code } = await ada.dewey("connect", "claude-code");
    expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
    expect(stdout).toContain("Claude Code is connected to Dewey.");
    expect(stdout).toContain("Through the proxy: files, local.");
    expect(stdout).toContain("Direct: oauth, which signs in by OAuth");
    expect(ada.json(".claude.json")).toEqual({
      numStartups: 3,
      mcpServers: {
        files: { command: binary, args: ["proxy", "--stdio", "--name", "files", "--", "npx", "-y", "server"] },
        oauth: claude.mcpServers.oauth,
        dewey: { command: binary, args: ["serve", "--stdio"] },
      },
      projects: {
        "/work": {
          mcpServers: { local: { command: binary, args: ["proxy", "--stdio", "--name", "local", "--", "serve"] } },
          history: ["x"],
        },
      },
    });
    expect(ada.json(".claude/settings.json")).toMatchObject({
      model: "opus",
      hooks: { Stop: [settings.hooks.Stop[0], { hooks: [{ command: `${binary} hook` }] }] },
    });
    expect(JSON.parse(ada.text(".claude.json.before-dewey"))).toEqual(claude);
    // The file's own indentation.
    expect(ada.text(".claude.json")).toStartWith('{\n    "numStartups"');

    const written = [ada.text(".claude.json"), ada.text(".claude/settings.json")];
    const again = await ada.dewey("connect", "claude-code");
    expect(again.stdout).toContain("was already connected to Dewey");
    expect([ada.text(".claude.json"), ada.text(".claude/settings.json")]).toEqual(written);
    expect(JSON.parse(ada.text(".claude.json.before-dewey"))).toEqual(claude);
  });

  test("is undone byte for byte, and later additions are kept", async () => {
    using ada = person({ ".claude.json": claude, ".claude/settings.json": settings });
    const before = [ada.text(".claude.json"), ada.text(".claude/settings.json")];
    await ada.dewey("connect", "claude-code");
    expect((await ada.dewey("disconnect", "claude-code")).stdout).toContain("is no longer connected");
    expect([ada.text(".claude.json"), ada.text(".claude/settings.json")]).toEqual(before);
    expect((await ada.dewey("disconnect", "claude-code")).stdout).toContain("was not connected");

    await ada.dewey("connect", "claude-code");
    const now = ada.json(".claude.json") as typeof claude;
    writeFileSync(
      join(ada.path, ".claude.json"),
      JSON.stringify({ ...now, numStartups: 4, mcpServers: { ...now.mcpServers, added: stdio } }),
    );
    await ada.dewey("disconnect", "claude-code");
    expect(ada.json(".claude.json")).toEqual({
      ...claude,
      numStartups: 4,
      mcpServers: { ...claude.mcpServers, added: stdio },
    });
  });

  test("creates missing files and removes them again, keeps links, and writes private files", async () => {
    using ada = person({ "dotfiles/claude.json": {} });
    symlinkSync(join(ada.path, "dotfiles/claude.json"), join(ada.path, ".claude.json"));
    await ada.dewey("connect", "claude-code");
    expect(lstatSync(join(ada.path, ".claude.json")).isSymbolicLink()).toBe(true);
    expect(ada.json("dotfiles/claude.json")).toHaveProperty("mcpServers.dewey");
    expect(statSync(join(ada.path, ".claude/settings.json")).mode & 0o777).toBe(0o600);
    await ada.dewey("disconnect", "claude-code");
    expect(ada.text("dotfiles/claude.json")).toBe("{}\n");
    expect(ada.has(".claude/settings.json")).toBe(false);
  });

  test("writes into the folder with --project, only those servers with --upstream, and nothing with --print", async () => {
    using ada = person({ "p/.mcp.json": { mcpServers: { a: stdio, b: stdio, c: stdio } } });
    const inProject = async (...args: string[]) => {
      await using running = start(args, ada.onPath(), join(ada.path, "p"));
      return { code: await running.process.exited, stdout: running.stdout(), stderr: running.stderr() };
    };
    const printed = await inProject(
      "connect",
      "claude-code",
      "--project",
      "--upstream",
      "a",
      "--upstream",
      "b",
      "--print",
    );
    expect(printed.stdout).toContain(`# ${join(ada.path, "p/.mcp.json")}\n`);
    expect(printed.stdout).toContain("SessionStart");
    expect(ada.has("p/.claude/settings.local.json")).toBe(false);
    expect(ada.json("p/.mcp.json")).not.toHaveProperty("mcpServers.dewey");
    const done = await inProject("connect", "claude-code", "--project", "--upstream", "a", "--upstream", "b", "--json");
    expect(JSON.parse(done.stdout)).toMatchObject({ proxied: ["a", "b"], direct: [], hooks: true });
    expect(ada.json("p/.mcp.json")).toMatchObject({
      mcpServers: { a: { command: "dewey" }, c: stdio, dewey: { command: "dewey", args: ["serve", "--stdio"] } },
    });
    expect(ada.json("p/.claude/settings.local.json")).toHaveProperty("hooks.SessionStart");
    expect(ada.has(".claude.json")).toBe(false);
    expect(await inProject("connect", "claude-code", "--project", "--upstream", "missing")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('has no server "missing"; its servers: a, b, c, dewey'),
    });
  });

  test("passes on settings that are not defaults, and changes nothing when a file cannot be parsed", async () => {
    using ada = person({ ".claude.json": "{ // comment\n}", ".claude/settings.json": settings });
    const { code, stderr } = await ada.dewey("connect", "claude-code");
    expect(code).toBe(2);
    expect(stderr).toContain(`${join(ada.path, ".claude.json")} is not a JSON object`);
    expect(ada.json(".claude/settings.json")).toEqual(settings);
    writeFileSync(join(ada.path, ".claude.json"), "{}");
    await run(["connect", "claude-code", "--url", "ws://localhost:7777"], {
      ...ada.env,
      DEWEY_DATA_DIR: join(ada.path, "my data"),
    });
    expect(ada.json(".claude.json")).toMatchObject({
      mcpServers: {
        dewey: { args: ["serve", "--stdio", "--url", "ws://localhost:7777", "--data-dir", join(ada.path, "my data")] },
      },
    });
    expect(ada.text(".claude/settings.json")).toContain(
      `hook --url ws://localhost:7777 --data-dir '${join(ada.path, "my data")}'`,
    );
  });
});

describe("dewey connect --project", () => {
  async function inProject(ada: ReturnType<typeof person>, env: Record<string, string>, ...args: string[]) {
    await using running = start(args, env, join(ada.path, "p"));
    return { code: await running.process.exited, stdout: running.stdout(), stderr: running.stderr() };
  }
  const filesOf = (ada: ReturnType<typeof person>) =>
    readdirSync(join(ada.path, "p"), { recursive: true }).map(String).toSorted();

  test.each([
    ["claude-code", ".mcp.json"],
    ["gemini", ".gemini/settings.json"],
  ])(
    "writes nothing of this machine for %s, leaves nothing beside, and is undone by the command it names",
    async (client, file) => {
      using ada = person({ [`p/${file}`]: { mcpServers: { files: stdio } } });
      const before = { text: ada.text(`p/${file}`), files: filesOf(ada) };
      const env = { ...ada.onPath(), DEWEY_DATA_DIR: join(ada.path, "data"), DEWEY_URL: "ws://localhost:7777" };
      const { stdout, code } = await inProject(ada, env, "connect", client, "--project");
      expect(code).toBe(0);
      const written = filesOf(ada).flatMap((name) => {
        const path = join(ada.path, "p", name);
        return statSync(path).isFile() ? [readFileSync(path, "utf8")] : [];
      });
      expect(written.join("")).toContain('"dewey"');
      for (const text of written) {
        expect(text).not.toContain(ada.path);
        expect(text).not.toContain(dirname(binary));
        expect(text).not.toContain("7777");
      }
      expect(filesOf(ada).filter((name) => name.includes("before-dewey"))).toEqual([]);
      const [, undo = ""] = /To undo it: dewey (.*)/.exec(stdout) ?? [];
      expect(await inProject(ada, env, ...undo.split(" "))).toMatchObject({ code: 0, stderr: "" });
      expect({ text: ada.text(`p/${file}`), files: filesOf(ada) }).toEqual(before);
    },
  );

  test("keeps the address of a server that is not on this machine", async () => {
    using ada = person({ "p/.mcp.json": {} });
    await inProject(ada, ada.onPath(), "connect", "claude-code", "--project", "--url", "wss://dewey.example.org");
    expect(ada.json("p/.mcp.json")).toMatchObject({
      mcpServers: { dewey: { command: "dewey", args: ["serve", "--stdio", "--url", "wss://dewey.example.org"] } },
    });
  });

  test("refuses when the name that it would write is not on the PATH, and changes nothing", async () => {
    using ada = person({ "p/.mcp.json": {} });
    const child = Bun.spawn([binary, "connect", "claude-code", "--project"], {
      env: { ...ada.env, PATH: dirname(process.execPath) },
      cwd: join(ada.path, "p"),
      stdin: "ignore",
      stderr: "pipe",
    });
    expect(await new Response(child.stderr).text()).toContain("ln -s");
    expect(await child.exited).toBe(2);
    expect(filesOf(ada)).toEqual([".mcp.json"]);
  });

  test("reports servers that the other scope names, and which entry counts", async () => {
    using ada = person({
      ".claude.json": { mcpServers: { files: stdio, mine: stdio } },
      "p/.mcp.json": { mcpServers: { files: stdio } },
    });
    const own = await inProject(ada, ada.onPath(), "connect", "claude-code");
    expect(own.stdout).toContain(
      `files is in ${join(ada.path, "p/.mcp.json")}, too, whose entry counts in this folder, and does not go through the proxy.`,
    );
    expect(own.stdout).not.toContain("mine is in");
    const shared = await inProject(ada, ada.onPath(), "connect", "claude-code", "--project");
    expect(shared.stdout).toContain(`Dewey is connected in ${join(ada.path, ".claude.json")}, too`);
    expect(shared.stdout).toContain("but this folder's entry counts here.");
  });
});

describe("what was there before Dewey", () => {
  const name = ".claude.json.before-dewey";

  test("is kept through a second connect, and through disconnect", async () => {
    using ada = person({ ".claude.json": claude, ".claude/settings.json": settings });
    const before = [ada.text(".claude.json"), ada.text(".claude/settings.json")];
    const kept = () => [ada.text(name), ada.text(".claude/settings.json.before-dewey")];
    await ada.dewey("connect", "claude-code");
    expect(kept()).toEqual(before);
    // A second one changes the files: it is told of another server.
    await ada.dewey("connect", "claude-code", "--url", "ws://localhost:7777");
    expect(ada.text(".claude.json")).toContain("7777");
    expect(kept()).toEqual(before);
    await ada.dewey("disconnect", "claude-code");
    expect(kept()).toEqual(before);
    expect([ada.text(".claude.json"), ada.text(".claude/settings.json")]).toEqual(before);
  });

  test("is what a person has changed between disconnect and the next connect", async () => {
    using ada = person({ ".claude.json": claude });
    await ada.dewey("connect", "claude-code");
    await ada.dewey("disconnect", "claude-code");
    writeFileSync(join(ada.path, ".claude.json"), '{"numStartups": 4}');
    await ada.dewey("connect", "claude-code");
    expect(ada.text(name)).toBe('{"numStartups": 4}');
    expect(statSync(join(ada.path, name)).mode & 0o777).toBe(0o600);
  });
});

describe("links that came with a cloned project", () => {
  /** Connects in the folder `p` of this person. */
  async function inProject(ada: ReturnType<typeof person>, ...args: string[]) {
    await using running = start(args, ada.onPath(), join(ada.path, "p"));
    return { code: await running.process.exited, stderr: running.stderr() };
  }

  test.each([
    [".mcp.json", "claude-code"],
    [".claude", "claude-code"],
    [".claude/settings.local.json", "claude-code"],
    [".gemini/settings.json", "gemini"],
  ])("are refused with --project, and nothing is written: %s", async (link, client) => {
    using ada = person({ "p/.mcp.json": "{}", "p/.gemini/settings.json": "{}", "p/.claude/settings.local.json": "{}" });
    writeFileSync(join(ada.path, "victim"), "{}");
    mkdirSync(join(ada.path, "elsewhere"));
    rmSync(join(ada.path, "p", link), { recursive: true, force: true });
    symlinkSync(join(ada.path, link === ".claude" ? "elsewhere" : "victim"), join(ada.path, "p", link));
    ada.onPath();
    const before = readdirSync(ada.path, { recursive: true }).map(String).toSorted();
    for (const command of ["connect", "disconnect"]) {
      const { code, stderr } = await inProject(ada, command, client, "--project");
      expect([code, stderr]).toEqual([2, expect.stringContaining(`${join(ada.path, "p", link)} is a link`)]);
    }
    expect([ada.text("victim"), readdirSync(ada.path, { recursive: true }).map(String).toSorted()]).toEqual([
      "{}",
      before,
    ]);
  });

  test("are refused for a file in a work tree that is named by its path", async () => {
    using ada = person({ "p/.git/HEAD": "", victim: "{}" });
    symlinkSync(join(ada.path, "victim"), join(ada.path, "p/mcp.json"));
    symlinkSync(ada.path, join(ada.path, "p/deep"));
    for (const path of ["mcp.json", "deep/any.json"])
      expect(await inProject(ada, "connect", join(ada.path, "p", path))).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("is a link, which is not followed here"),
      });
    expect([ada.text("victim"), ada.has("any.json")]).toEqual(["{}", false]);
  });

  test("named .part, as earlier versions wrote beside a file, are left alone", async () => {
    using ada = person({ "p/.mcp.json": "{}", victim: "kept" });
    symlinkSync(join(ada.path, "victim"), join(ada.path, "p/.mcp.json.part"));
    expect(await inProject(ada, "connect", "claude-code", "--project")).toEqual({ code: 0, stderr: "" });
    expect(ada.text("victim")).toBe("kept");
    expect(ada.json("p/.mcp.json")).toHaveProperty("mcpServers.dewey");
  });
});

describe("dewey connect", () => {
  test("writes no secret of an address on a command line", async () => {
    const url = "ws://127.0.0.1:1/mcp?api_key=s3cret";
    using ada = person({ "any.json": { mcpServers: { keyed: { type: "ws", url } } } });
    const any = join(ada.path, "any.json");
    expect(await ada.dewey("connect", any)).toMatchObject({ code: 0, stderr: "" });
    const { keyed } = ada.json("any.json")["mcpServers"] as Record<string, { args: string[]; env: object }>;
    expect(keyed?.args.join(" ")).not.toContain("s3cret");
    expect(keyed?.env).toEqual({ DEWEY_UPSTREAM_URL: url });
    const own = ["--url", "ws://me:s3cret@localhost:1"];
    expect(await ada.dewey("connect", any, ...own)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("DEWEY_URL should hold no user, password or key here"),
    });
    expect(await ada.dewey("disconnect", any, ...own)).toMatchObject({ code: 0, stderr: "" });
    expect(ada.json("any.json")).toEqual({ mcpServers: { keyed: { type: "ws", url } } });
  });

  test("connects Codex, Gemini, and any client with an mcpServers file, and undoes it", async () => {
    const toml = '# mine\n[mcp_servers.files]\ncommand = "npx"\nargs = ["-y", "server"]\n';
    using ada = person({
      ".codex/config.toml": toml,
      ".gemini/settings.json": { theme: "x", mcpServers: { files: stdio } },
      "any.json": { mcpServers: { files: stdio } },
    });
    const any = join(ada.path, "any.json");
    const codex = await ada.dewey("connect", "codex");
    expect(codex.stdout).toContain("Kept live once you trust the hooks");
    expect(ada.text(".codex/hooks.json")).toContain(`${binary} hook --client codex`);
    expect(ada.text(".codex/config.toml")).toContain(
      `# mine\n[mcp_servers.files]\ncommand = "${binary}"\nargs = ["proxy", "--stdio", "--name", "files", "--", "npx", "-y", "server"]\n`,
    );
    expect(ada.text(".codex/config.toml")).toContain(
      `[mcp_servers.dewey]\ncommand = "${binary}"\nargs = ["serve", "--stdio"]\n`,
    );
    await ada.dewey("connect", "gemini");
    expect(ada.json(".gemini/settings.json")).toMatchObject({
      hooks: {
        BeforeAgent: [{ hooks: [{ name: "dewey", command: `${binary} hook --client gemini`, timeout: 10_000 }] }],
      },
    });
    const other = await ada.dewey("connect", any);
    expect(other.stdout).toContain("Kept live: only its MCP calls.");
    for (const name of [".gemini/settings.json", "any.json"])
      expect(ada.json(name)).toMatchObject({
        mcpServers: { files: { command: binary }, dewey: { command: binary } },
      });
    for (const client of ["codex", "gemini", any])
      expect(await ada.dewey("disconnect", client)).toMatchObject({ code: 0, stderr: "" });
    expect(ada.text(".codex/config.toml")).toBe(toml);
    expect(ada.has(".codex/hooks.json")).toBe(false);
    expect(ada.json(".gemini/settings.json")).toEqual({ theme: "x", mcpServers: { files: stdio } });
    expect(ada.json("any.json")).toEqual({ mcpServers: { files: stdio } });
  });

  test("leaves servers direct that require a sign-in or do not answer", async () => {
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request) => new Response(null, { status: new URL(request.url).pathname === "/open" ? 200 : 401 }),
    });
    const at = (path: string) => ({ type: "http", url: `http://127.0.0.1:${server.port}/${path}` });
    using ada = person({
      "any.json": {
        mcpServers: {
          open: at("open"),
          closed: at("closed"),
          keyed: { ...at("closed"), headers: { Authorization: "Bearer x" } },
          away: { type: "http", url: "http://127.0.0.1:1/" },
        },
      },
    });
    const { stdout } = await ada.dewey("connect", join(ada.path, "any.json"), "--json");
    await server.stop();
    expect(JSON.parse(stdout)).toMatchObject({
      proxied: ["open", "keyed"],
      direct: [{ name: "closed" }, { name: "away", reason: expect.stringContaining("does not answer") }],
    });
    // Secrets stay in the entry's environment, and do not appear on a command line.
    expect(ada.json("any.json")).toMatchObject({
      mcpServers: { keyed: { env: { DEWEY_UPSTREAM_HEADERS: '{"Authorization":"Bearer x"}' } } },
    });
  });

  test("takes a typing error in a path for no client, and creates nothing", async () => {
    using ada = person({ "package.json": { name: "app" }, "any.json": {} });
    const absent = join(ada.path, "mispelt.json");
    expect(await ada.dewey("connect", absent)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`there is no ${absent}; check the path`),
    });
    expect(ada.has("mispelt.json")).toBe(false);
    expect(await ada.dewey("connect", join(ada.path, "package.json"))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("has no mcpServers"),
    });
    expect(ada.json("package.json")).toEqual({ name: "app" });
    expect(await ada.dewey("connect", join(ada.path, "any.json"))).toMatchObject({ code: 0 });
  });

  test("says when the client itself is not on the machine", async () => {
    using ada = person();
    const env = { ...ada.env, PATH: "/nowhere" };
    expect((await run(["connect", "codex"], env)).stdout).toContain("Codex was not found on this machine");
    expect((await run(["connect", "codex"], env)).stdout).not.toContain("was not found");
  });

  test("reports wrong arguments", async () => {
    using ada = person();
    expect(await ada.dewey("connect")).toMatchObject({ code: 2, stderr: expect.stringContaining("needs a client") });
    expect(await ada.dewey("connect", "emacs")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("give claude-code, codex, gemini"),
    });
    expect(await ada.dewey("connect", "codex", "--project")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("omit --project"),
    });
    expect((await ada.dewey("disconnect", "--help")).stdout).toContain("usage: dewey disconnect CLIENT");
    expect((await ada.dewey("connect", "--help")).stdout).toContain("--upstream NAME");
  });
});

test("an entry that dewey connect wrote for a remote server sends its headers, and is recorded under the server's name", async () => {
  using ada = person();
  const { running, url } = await startServe(ada.path);
  let shown: string | null = null;
  const http = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      shown ??= request.headers.get("x-key");
      if (request.method !== "POST") return new Response(null, { status: 405 });
      const { id, method } = (await request.json()) as { id?: number; method: string };
      if (id === undefined) return new Response(null, { status: 202 });
      const result =
        method === "initialize"
          ? { protocolVersion: "2025-11-25", capabilities: {}, serverInfo: { name: "h", version: "1" } }
          : { content: [{ type: "text", text: "answered" }] };
      return Response.json({ jsonrpc: "2.0", id, result });
    },
  });
  const child = Bun.spawn([binary, "proxy", "--stdio", "--name", "keyed", "--url", url], {
    env: {
      ...ada.env,
      DEWEY_UPSTREAM_URL: `http://127.0.0.1:${http.port}/mcp`,
      DEWEY_UPSTREAM_HEADERS: '{"x-key":"k"}',
    },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
  });
  const call = (id: number, method: string, params: object) =>
    void child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
  call(0, "initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "c", version: "1" } });
  call(1, "tools/call", { name: "ask", arguments: {} });
  const rpc = await Rpc.open(url);
  await rpc.initialize();
  const found = await until("the recorded answer", async () => {
    const { results } = (await rpc.tool("dewey_search", { query: "answered" })) as { results: { metadata: object }[] };
    return results[0];
  });
  expect(found.metadata).toMatchObject({ upstream: "keyed" });
  expect(shown as string | null).toBe("k");
  await child.stdin.end();
  await child.exited;
  rpc.close();
  await http.stop(true);
  await running.stop();
});
