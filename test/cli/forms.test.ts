import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { allCommands } from "../../src/cli/commands.ts";
import { obeyed } from "../../src/config.ts";
import { settings } from "../../src/settings.ts";
import { binary, run, startServe } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import type { Running } from "../support/binary.ts";
import { freePort } from "../support/ports.ts";
import { Rpc } from "../support/rpc.ts";

// Behaviour that all commands share: help, errors for wrong usage and for a missing server, and JSON for programs. Each
// command's own behaviour is tested in its own file.

const commands = await allCommands();
/** A client acts on a hook's exit code, so a hook must never fail. */
const neverFails = new Set(["hook"]);

const home = temporaryHome();
/** Operands that get a command as far as calling the server. */
const operands: Record<string, string[]> = {
  search: ["word"],
  show: [crypto.randomUUID()],
  rename: [crypto.randomUUID(), "a title"],
  star: [crypto.randomUUID()],
  unstar: [crypto.randomUUID()],
  resume: [crypto.randomUUID()],
  rm: [crypto.randomUUID()],
  restore: [crypto.randomUUID()],
  context: ["list"],
  import: [join(import.meta.dir, "../capture/recorded")],
  backup: [join(home.path, "a.backup")],
  recover: [import.meta.path],
};
const plain = plainEnvironment(home.path);
let server: Running;
let env: Record<string, string>;
let rpc: Rpc;

beforeAll(async () => {
  const started = await startServe(home.path);
  server = started.running;
  env = { ...plain, DEWEY_URL: started.url };
  rpc = await Rpc.open(started.url);
  await rpc.initialize();
  writeFileSync(join(home.path, "client.json"), '{ "mcpServers": {} }\n');
});

afterAll(async () => {
  rpc.close();
  await server.stop();
  home[Symbol.dispose]();
});

describe("every command's help", () => {
  for (const { name, summary, flags, settings: names } of commands) {
    test(`shows the usage, flags and variables of dewey ${name}`, async () => {
      const { stdout, stderr, code } = await run(["help", name], plain);
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout.split("\n\n")[0]?.replaceAll("\n", " ")).toBe(summary);
      expect(stdout).toContain(`\n\nusage: dewey ${name}`);
      for (const flag of Object.keys(flags)) expect(stdout).toMatch(new RegExp(`^  --${flag}\\b`, "m"));
      for (const setting of names) expect(stdout).toMatch(new RegExp(`^  ${settings[setting].env}\\b`, "m"));
      for (const form of ["--help", "-h"]) expect((await run([name, form], plain)).stdout).toBe(stdout);
    });
  }
});

describe("wrong usage", () => {
  for (const { name, operands: most } of commands) {
    test(`is reported in one line that points to the help of dewey ${name}`, async () => {
      const wrong = [["--nonsense"], ...(most === Infinity ? [] : [Array.from({ length: most + 1 }, () => "extra")])];
      for (const args of wrong) {
        const { stdout, stderr, code } = await run([name, ...args], plain);
        expect([code, stdout]).toEqual([neverFails.has(name) ? 0 : 2, ""]);
        expect(stderr).toMatch(new RegExp(`^dewey: dewey ${name} .*(--nonsense|"extra"); see: dewey help ${name}\n$`));
      }
    });
  }

  for (const name of ["search", "show", "star", "unstar", "resume", "rm", "restore", "context", "backup", "recover"]) {
    test(`names the missing operand of dewey ${name}`, async () => {
      const { stdout, stderr, code } = await run([name], env);
      expect([code, stdout]).toEqual([2, ""]);
      expect(stderr).toMatch(new RegExp(`^dewey: dewey ${name} needs .*; see: dewey help ${name}\n$`));
    });
  }
});

test("an empty argument, as of an unset variable, is refused where it would be taken for a path or a name", async () => {
  for (const args of [
    ["rm", ""],
    ["backup", ""],
    ["import", ""],
    ["connect", ""],
    ["show", "", "--json"],
  ]) {
    const { stdout, stderr, code } = await run(args, env);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toBe(`dewey: dewey ${args[0]} was given an empty argument; see: dewey help ${args[0]}\n`);
  }
});

test.skipIf(process.platform !== "linux")(
  "what stdout does not take is an error, and a reader that has gone is none",
  async () => {
    for (const command of ["help", "unit serve", "completions bash", "status", "list"]) {
      const full = Bun.spawnSync(["sh", "-c", `'${binary}' ${command} > /dev/full`], { env, stderr: "pipe" });
      expect([command, full.exitCode, full.stderr.toString()]).toEqual([
        command,
        69,
        "dewey: the disk is full (ENOSPC)\n",
      ]);
      const left = Bun.spawnSync(["bash", "-c", `set -o pipefail; '${binary}' ${command} | true`], {
        env,
        stderr: "pipe",
      });
      expect([command, left.exitCode, left.stderr.toString()]).toEqual([command, 0, ""]);
    }
  },
);

test("help about help is the overview", async () => {
  expect(await run(["help", "help"], plain)).toEqual(await run(["help"], plain));
});

test("another program at the server's address is told from a server that is away", async () => {
  using web = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => new Response("<html>hello</html>", { status: 404 }),
  });
  const elsewhere = { ...plain, DEWEY_URL: `ws://localhost:${web.port}` };
  for (const args of [["list"], ["status"], ["health"], ["open", "--print"], ["search", "word"]]) {
    const { stdout, stderr, code } = await run(args, elsewhere);
    expect([code, stdout]).toEqual([69, ""]);
    const complaint = `a program that is not Dewey answers at ws://localhost:${web.port}/; stop it, or correct DEWEY_URL`;
    expect(stderr).toBe(`dewey: ${complaint}\n`);
  }
});

test("what cannot be started from here is not promised to start", async () => {
  const { stdout, code } = await run(["status"], { ...plain, DEWEY_URL: "ws://server.invalid:9020" });
  expect(code).toBe(3);
  expect(stdout).toMatch(/^server {2}does not run at \S+; start one there, or correct DEWEY_URL$/m);
});

describe("every command that asks the server", () => {
  // Without a server `stop` is content, `watch` waits for one, and `completions` offers commands and flags only.
  const asking = commands.filter(
    ({ name, settings }) =>
      (settings === obeyed.client && !["stop", "watch", "completions"].includes(name)) || settings === obeyed.reindex,
  );

  for (const { name, flags } of asking) {
    test(`tells on stderr alone how to start a server when none answers, with --json too: ${name}`, async () => {
      const away = { ...plain, DEWEY_URL: "ws://server.invalid:9020" };
      for (const json of "json" in flags ? [[], ["--json"]] : [[]]) {
        const { stdout, stderr, code } = await run([name, ...(operands[name] ?? []), ...json], away);
        expect([code, stdout]).toEqual([69, ""]);
        expect(stderr).toMatch(/^dewey: .*start (one there, or correct DEWEY_URL|a server with: dewey serve)\n$/);
      }
    });
  }
});

/** A call of a command with --json, and a part of its reply. */
interface Form {
  /** Calls that prepare it, and calls that undo effects on other forms. */
  before?: string[][];
  after?: string[][];
  args: string[];
  reply: unknown;
}

const file = (name: string) => join(home.path, name);
const edit = (name: string) => ["context", "edit", name];
const remove = (name: string) => ["context", "rm", name, "--force"];
/** ID and SESSION stand for those of a conversation made for each form, which also gets its own working folder. */
const forms: Form[] = [
  {
    args: ["list", "--session", "SESSION"],
    reply: { total: 1, conversations: [{ session_id: expect.any(String), message_count: 1 }] },
  },
  { args: ["search", "word", "--session", "SESSION"], reply: { total: 1, results: [{ role: "user" }] } },
  { args: ["show", "ID"], reply: { messages: [{ turn: 1, content: "a word" }] } },
  { before: [["rm", "ID"]], args: ["audit", "--limit", "1"], reply: { entries: [expect.any(Object)], limit: 1 } },
  { args: ["upgrade"], reply: { installed: "source", newest: null, newer: false } },
  { args: ["stats"], reply: { conversations: expect.any(Number), messages: expect.any(Number), tools: [] } },
  { args: ["rm", "ID"], reply: { deleted: true, messages_deleted: 1 } },
  { before: [["rm", "ID"]], args: ["restore", "ID"], reply: { restored: true } },
  { args: ["context", "show"], reply: { context: null } },
  { args: edit("made"), reply: { changed: true, name: "made" } },
  { before: [edit("same")], args: edit("same"), reply: { changed: false } },
  {
    before: [edit("listed")],
    args: ["context", "list"],
    reply: { contexts: expect.arrayContaining([expect.objectContaining({ name: "listed", is_active: false })]) },
  },
  {
    before: [edit("used")],
    args: ["context", "use", "used"],
    reply: { name: "used", folder: expect.stringContaining(home.path) },
  },
  {
    before: [edit("shown"), ["context", "use", "shown"]],
    args: ["context", "show"],
    reply: { context: { name: "shown", content: "Be brief." } },
  },
  {
    before: [edit("old")],
    args: ["context", "show", "old", "--version", "1"],
    reply: { version: 1, content: "Be brief." },
  },
  {
    before: [edit("everywhere")],
    args: ["context", "use", "everywhere", "--everywhere"],
    reply: { name: "everywhere", is_active: true },
    after: [remove("everywhere")],
  },
  { before: [edit("unused"), ["context", "use", "unused"]], args: ["context", "use", "--none"], reply: { name: null } },
  {
    before: [edit("restored")],
    args: ["context", "restore", "restored", "--version", "1"],
    reply: { name: "restored" },
  },
  { before: [edit("removed")], args: remove("removed"), reply: { deleted: true } },
  {
    before: [edit("gone"), remove("gone")],
    args: ["context", "history", "gone"],
    reply: { total: 2, versions: [{ change: "deleted" }, {}] },
  },
  { args: ["rename", "ID", "Mine"], reply: { title: "Mine", title_source: "person" } },
  { args: ["star", "ID"], reply: { starred: true } },
  { args: ["unstar", "ID"], reply: { starred: false } },
  { args: ["resume", "ID"], reply: { command: ["codex", "resume", expect.any(String)], folder: "/work" } },
  { args: ["reindex"], reply: { language: "english", under_way: false, total: expect.any(Number) } },
  { args: ["backup", file("a.backup")], reply: { format: "dewey-backup", bytes: expect.any(Number) } },
  {
    before: [["backup", file("b.backup")]],
    args: ["recover", file("b.backup"), "--force"],
    reply: { made_at: expect.any(String) },
  },
  { args: ["import", join(import.meta.dir, "../capture/recorded")], reply: { messages: 14, notes: 6, faults: [] } },
  { args: ["connect", file("client.json")], reply: { files: [{ changed: true }] } },
  {
    before: [["connect", file("client.json")]],
    args: ["disconnect", file("client.json")],
    reply: { files: [{ changed: true }] },
  },
  { args: ["status"], reply: { server: { health: { status: "ok" } }, store: { conversations: expect.any(Number) } } },
  { args: ["doctor"], reply: { checks: expect.any(Array) } },
];

describe("JSON for programs", () => {
  for (const { before = [], args, reply, after = [] } of forms) {
    test(`is all that dewey ${args.join(" ").replaceAll(home.path, "")} --json prints`, async () => {
      const folder = mkdtempSync(file("folder-"));
      const session = Bun.randomUUIDv7();
      const id = await storeConversation(session);
      const call = (each: string[]) =>
        callWithJson(
          each.map((arg) => arg.replace(/^ID$/, id).replace(/^SESSION$/, session)),
          folder,
        );
      for (const each of before) await call(each);
      expect(await call(args)).toMatchObject(reply as object);
      for (const each of after) await call(each);
    });
  }

  test("is one object per line where there may be many", async () => {
    await storeConversation(Bun.randomUUIDv7());
    const { stdout } = await run(["export", "--json"], env);
    const types = stdout
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { type: string }).type);
    expect(types).toEqual(expect.arrayContaining(["dewey_export", "conversation", "message"]));
  });

  test("is tested for every command that takes --json", () => {
    // `export` and `tail` print lines; `tail` runs until it is stopped, and is tested with its other behaviour.
    const tested = new Set([...forms.map(({ args }) => args[0] ?? ""), "export", "tail"]);
    const taking = commands.filter((command) => "json" in command.flags).map(({ name }) => name);
    expect([...tested].toSorted()).toEqual(taking.toSorted());
  });
});

/** Stores one message in a session of its own, and returns its conversation's id. */
async function storeConversation(session_id: string): Promise<string> {
  const messages = [{ role: "user", content: "a word" }];
  const metadata = { source: "codex", cwd: "/work" };
  return String((await rpc.tool("dewey_store_messages_bulk", { session_id, metadata, messages }))["conversation_id"]);
}

/** Runs a command in a folder, and parses its whole output as JSON. Only `context edit` reads the input. */
async function callWithJson(args: string[], cwd: string): Promise<unknown> {
  const child = Bun.spawn([binary, ...args, "--json"], {
    env: { ...env, DEWEY_PROXY_PORT: `${freePort()}` },
    cwd,
    stdin: Buffer.from("Be brief."),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  expect([await child.exited, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout);
}
