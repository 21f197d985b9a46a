import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { allCommands } from "../../src/cli/commands.ts";
import { obeyed } from "../../src/config.ts";
import { settings } from "../../src/settings.ts";
import { binary, run, startServe } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import type { Running } from "../support/binary.ts";
import { freePort } from "../support/ports.ts";
import { Rpc } from "../support/rpc.ts";

// What every command has in the same way: its help, what it says when it is called wrongly or finds no server, and JSON for
// programs. What each says beyond that is tested with it.

setDefaultTimeout(60_000);

const commands = await allCommands();
/** A client takes a hook that fails for a verdict on its own work. */
const neverFails = new Set(["hook"]);

const home = temporaryHome();
/** What is called with an operand or more: enough to get as far as the server. */
const operands: Record<string, string[]> = {
  search: ["word"],
  show: [crypto.randomUUID()],
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
let id: string;

beforeAll(async () => {
  const started = await startServe(home.path);
  server = started.running;
  env = { ...plain, DEWEY_URL: started.url };
  const rpc = await Rpc.open(started.url);
  await rpc.initialize();
  const stored = await rpc.tool("dewey_store_messages_bulk", {
    session_id: "a session",
    messages: [{ role: "user", content: "a word" }],
  });
  id = String(stored["conversation_id"]);
  rpc.close();
  mkdirSync(join(home.path, "project"));
  writeFileSync(join(home.path, "client.json"), '{ "mcpServers": {} }\n');
});

afterAll(async () => {
  await server.stop();
  home[Symbol.dispose]();
});

describe("every command's help", () => {
  for (const { name, summary, flags, settings: names } of commands) {
    test(`tells how dewey ${name} is called, its flags, and the variables that it obeys`, async () => {
      const { stdout, stderr, code } = await run(["help", name], plain);
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout).toStartWith(`${summary}\n\nusage: dewey ${name}`);
      for (const flag of Object.keys(flags)) expect(stdout).toMatch(new RegExp(`^  --${flag}\\b`, "m"));
      for (const setting of names) expect(stdout).toMatch(new RegExp(`^  ${settings[setting].env}\\b`, "m"));
      for (const form of ["--help", "-h"]) expect((await run([name, form], plain)).stdout).toBe(stdout);
    });
  }
});

describe("every command that is called wrongly", () => {
  for (const { name, operands: most } of commands) {
    test(`says so in a line that tells where help is: ${name}`, async () => {
      const wrong = [["--nonsense"], ...(most === Infinity ? [] : [Array.from({ length: most + 1 }, () => "extra")])];
      for (const args of wrong) {
        const { stdout, stderr, code } = await run([name, ...args], plain);
        expect([code, stdout]).toEqual([neverFails.has(name) ? 0 : 2, ""]);
        expect(stderr).toMatch(new RegExp(`^dewey: dewey ${name} .*(--nonsense|"extra"); see: dewey help ${name}\n$`));
      }
    });
  }

  for (const name of ["search", "show", "rm", "restore", "context", "backup", "recover"]) {
    test(`says what it wants: ${name}`, async () => {
      const { stdout, stderr, code } = await run([name], env);
      expect([code, stdout]).toEqual([2, ""]);
      expect(stderr).toMatch(new RegExp(`^dewey: dewey ${name} wants .*; see: dewey help ${name}\n$`));
    });
  }
});

describe("every command that asks the server", () => {
  const asking = commands.filter(({ settings }) => settings === obeyed.client || settings === obeyed.reindex);

  for (const { name, flags } of asking) {
    test(`says how to start one when none answers, on stderr alone, also to programs: ${name}`, async () => {
      const away = { ...plain, DEWEY_URL: `ws://localhost:${freePort()}` };
      for (const json of "json" in flags ? [[], ["--json"]] : [[]]) {
        const { stdout, stderr, code } = await run([name, ...(operands[name] ?? []), ...json], away);
        expect([code, stdout]).toEqual([69, ""]);
        expect(stderr).toMatch(/^dewey: .*start (one|a server) with: dewey serve\n$/);
      }
    });
  }
});

/** In an order in which each finds what those before it have left. */
const replies: { args: () => string[]; input?: string; reply: unknown }[] = [
  { args: () => ["list"], reply: { total: 1, conversations: [{ session_id: "a session", message_count: 1 }] } },
  { args: () => ["search", "word"], reply: { total: 1, results: [{ role: "user" }] } },
  { args: () => ["show", id], reply: { session_id: "a session", messages: [{ turn: 1, content: "a word" }] } },
  { args: () => ["stats"], reply: { conversations: 1, messages: 1, tools: [] } },
  { args: () => ["rm", id], reply: { deleted: true, messages_deleted: 1 } },
  { args: () => ["restore", id], reply: { restored: true } },
  { args: () => ["context", "show"], reply: { context: null } },
  { args: () => ["context", "edit", "team"], input: "Be brief.", reply: { changed: true, name: "team" } },
  { args: () => ["context", "edit", "team"], input: "Be brief.", reply: { changed: false } },
  { args: () => ["context", "list"], reply: { contexts: [{ name: "team", is_active: false }] } },
  { args: () => ["context", "use", "team"], reply: { name: "team", folder: expect.stringContaining("project") } },
  { args: () => ["context", "show"], reply: { context: { name: "team", content: "Be brief." } } },
  { args: () => ["context", "show", "team", "--version", "1"], reply: { version: 1, content: "Be brief." } },
  { args: () => ["context", "use", "team", "--everywhere"], reply: { name: "team", is_active: true } },
  { args: () => ["context", "use", "--none"], reply: { name: null } },
  { args: () => ["context", "restore", "team", "--version", "1"], reply: { name: "team" } },
  { args: () => ["context", "rm", "team", "--force"], reply: { deleted: true } },
  {
    args: () => ["context", "history", "team"],
    reply: { total: 5, versions: [{ change: "deleted" }, {}, {}, {}, {}] },
  },
  { args: () => ["reindex"], reply: { language: "english", under_way: false, total: 1 } },
  { args: () => ["backup", join(home.path, "a.backup")], reply: { format: "dewey-backup", bytes: expect.any(Number) } },
  { args: () => ["recover", join(home.path, "a.backup"), "--force"], reply: { made_at: expect.any(String) } },
  { args: () => ["import", join(import.meta.dir, "../capture/recorded")], reply: { messages: 20, faults: [] } },
  { args: () => ["connect", join(home.path, "client.json")], reply: { files: [{ changed: true }] } },
  { args: () => ["disconnect", join(home.path, "client.json")], reply: { files: [{ changed: true }] } },
  { args: () => ["doctor"], reply: { checks: expect.any(Array) } },
];

describe("JSON for programs", () => {
  for (const { args, input, reply } of replies) {
    test(`is all that dewey ${args().join(" ").replaceAll(home.path, "")} --json prints`, async () => {
      const child = Bun.spawn([binary, ...args(), "--json"], {
        env: { ...env, DEWEY_PROXY_PORT: `${freePort()}` },
        cwd: join(home.path, "project"),
        stdin: Buffer.from(input ?? ""),
        stdout: "pipe",
        stderr: "pipe",
      });
      const [stdout, stderr] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      expect([await child.exited, stderr]).toEqual([0, ""]);
      expect(JSON.parse(stdout)).toMatchObject(reply as object);
    });
  }

  test("is one object a line where there may be many", async () => {
    const { stdout } = await run(["export", "--json"], env);
    const types = stdout
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { type: string }).type);
    expect(new Set(types)).toEqual(new Set(["dewey_export", "conversation", "message"]));
  });

  test("is what every command has that takes --json", () => {
    // These two write lines, the second until it is stopped; it is tested with what else it does.
    const tested = new Set([...replies.map(({ args }) => args()[0] ?? ""), "export", "tail"]);
    const taking = commands.filter((command) => "json" in command.flags).map(({ name }) => name);
    expect([...tested].toSorted()).toEqual(taking.toSorted());
  });
});
