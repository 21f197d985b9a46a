import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { lstatSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { binary, run, startServe } from "../../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../../support/home.ts";
import type { Running } from "../../support/binary.ts";
import { Rpc, until } from "../../support/rpc.ts";
import { WIDE, openTerminal, tmux } from "../../support/tmux.ts";

const home = temporaryHome();
const second = temporaryHome();
const file = join(home.path, "kept.backup");
let from: { running: Running; url: string };
let to: { running: Running; url: string };
let env: Record<string, string>;
let toEnv: Record<string, string>;

/** 80 kB that do not compress, so that a backup has a size; in metadata, which is not indexed by words. */
const noise = () => ({ noise: Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))).toString("base64") });

beforeAll(async () => {
  [from, to] = await Promise.all([startServe(home.path, { DEWEY_TOKEN: "secret-token" }), startServe(second.path)]);
  env = { ...plainEnvironment(home.path), TZ: "UTC", DEWEY_URL: from.url, DEWEY_TOKEN: "secret-token" };
  toEnv = { ...plainEnvironment(second.path), TZ: "UTC", DEWEY_URL: to.url };
  const rpc = await Rpc.open(from.url, { headers: { authorization: "Bearer secret-token" } });
  await rpc.initialize();
  await rpc.tool("dewey_store_messages_bulk", {
    session_id: "kept",
    messages: Array.from({ length: 50 }, (_, n) => ({ role: "user", content: `message ${n}`, metadata: noise() })),
  });
  await rpc.tool("dewey_set_startup_context", { name: "team", content: "Be brief." });
  rpc.close();
  await run(["backup", file], env);
});

afterAll(async () => {
  await Promise.all([from.running.stop(), to.running.stop()]);
  home[Symbol.dispose]();
  second[Symbol.dispose]();
});

/** The part of the target's content that these tests write. */
async function kept(): Promise<string> {
  return (await run(["list", "--json"], toEnv)).stdout + (await run(["context", "list", "--json"], toEnv)).stdout;
}

describe("dewey backup and dewey recover", () => {
  test("copy everything from one server to another", async () => {
    const own = join(home.path, "own.backup");
    const made = await run(["backup", own], env);
    expect([made.code, made.stderr]).toEqual([0, ""]);
    expect(made.stdout).toMatch(/own\.backup holds 1 conversation, 50 messages \(\d+(\.\d)? MB\)\n$/);
    expect(statSync(own).mode & 0o777).toBe(0o600);
    expect(readdirSync(dirname(own)).filter((name) => name.endsWith(".part"))).toEqual([]);
    const recovered = await run(["recover", own], toEnv);
    expect([recovered.code, recovered.stderr]).toEqual([0, ""]);
    expect(recovered.stdout).toMatch(/^Recovered the backup of \S+ \S+: 1 conversation, 50 messages\n$/);
    const [here, there] = await Promise.all(
      [env, toEnv].map((each) => run(["list", "--session", "kept", "--json"], each)),
    );
    expect(there?.stdout).toBe(here?.stdout ?? "");
    expect((await run(["context", "show", "team"], toEnv)).stdout).toBe("Be brief.\n");
  });

  test("refuse a server that is not empty, unless --force replaces its content", async () => {
    await run(["recover", file, "--force"], toEnv);
    const before = await kept();
    expect(await run(["recover", file], toEnv)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^dewey: the store is not empty: .*, use --force\n$/),
    });
    expect(await kept()).toBe(before);
    const { stdout } = await run(["recover", file, "--force", "--json"], toEnv);
    expect(JSON.parse(stdout).tables).toContainEqual({ name: "messages", rows: 50 });
    expect(await kept()).toBe(before);
  });

  test("change nothing when the file is truncated or not a backup, and say so", async () => {
    const before = await kept();
    const whole = readFileSync(file);
    const bad = join(home.path, "bad.backup");
    for (const [content, reason] of [
      [whole.subarray(0, whole.length / 2), /cut off|damaged/],
      [whole.subarray(0, whole.length - 1), /cut off|damaged/],
      [Buffer.from("PGDMP and so on"), /not a Dewey backup/],
      [Buffer.alloc(0), /not a Dewey backup/],
    ] as const) {
      writeFileSync(bad, content);
      const { code, stderr } = await run(["recover", bad, "--force"], toEnv);
      expect([code, stderr]).toEqual([2, expect.stringMatching(reason)]);
      expect(stderr).toContain("nothing was changed");
      expect(await kept()).toBe(before);
    }
  });

  test("report a wrong path, a wrong token and a missing server", async () => {
    expect(await run(["backup"], env)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("needs the name of the file"),
    });
    expect(await run(["recover"], env)).toMatchObject({ code: 2, stderr: expect.stringContaining("needs the file") });
    expect(await run(["backup", "/nowhere/x"], env)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("cannot be written: there is no such file or folder (ENOENT)"),
    });
    expect(await run(["recover", "/nowhere/x"], env)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("cannot be read: there is no such file or folder (ENOENT)"),
    });
    expect(await run(["backup", home.path], env)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("cannot be written: it is a folder (EISDIR)"),
    });
    expect(await run(["recover", home.path], env)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("cannot be read: it is no regular file"),
    });
    expect(await run(["backup", file], { ...env, DEWEY_TOKEN: "wrong" })).toMatchObject({ code: 77 });
    const before = readFileSync(file);
    expect(await run(["backup", file], { ...env, DEWEY_URL: "ws://server.invalid:9020" })).toMatchObject({
      code: 69,
      stderr: expect.stringContaining("start one there, or correct DEWEY_URL"),
    });
    // The earlier backup is still there.
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(readdirSync(home.path).filter((name) => name.endsWith(".part"))).toEqual([]);
  });

  test("roll back a recovery whose client is killed, and let others continue soon", async () => {
    const before = await kept();
    const begun = await fetch(new URL("/recover?force=true", to.url.replace("ws:", "http:")), { method: "POST" });
    const { id } = (await begun.json()) as { id: string };
    const part = (offset: number) =>
      fetch(new URL(`/recover/part?id=${id}&offset=${offset}`, to.url.replace("ws:", "http:")), {
        method: "POST",
        body: readFileSync(file).subarray(offset, offset + 1_000_000),
      });
    expect((await part(0)).status).toBe(200);
    expect(await (await part(0)).json()).toMatchObject({ code: "conflict", error: expect.stringContaining("1000000") });
    expect(await run(["recover", file, "--force"], toEnv)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("another recovery"),
    });
    const undone = await fetch(new URL(`/recover/undo?id=${id}`, to.url.replace("ws:", "http:")), { method: "POST" });
    expect(undone.status).toBe(200);
    expect(await kept()).toBe(before);
  });

  test("refuse requests from web pages or without the token", async () => {
    const route = (path: string) => new URL(path, from.url.replace("ws:", "http:"));
    expect((await fetch(route("/backup"), { method: "POST" })).status).toBe(401);
    expect((await fetch(route("/recover?force=true"), { method: "POST" })).status).toBe(401);
    const headers = { origin: "https://evil.example", authorization: "Bearer secret-token" };
    expect((await fetch(route("/backup"), { method: "POST", headers })).status).toBe(403);
  });

  test("leave no file when the server is killed during a backup", async () => {
    using third = temporaryHome();
    const { running, url } = await startServe(third.path);
    const rpc = await Rpc.open(url);
    await rpc.initialize();
    for (let n = 0; n < 4; n += 1) {
      await rpc.tool("dewey_store_messages_bulk", {
        messages: Array.from({ length: 50 }, () => ({ role: "user", content: "x", metadata: noise() })),
      });
    }
    const folder = join(third.path, "backups");
    mkdirSync(folder);
    const child = Bun.spawn([binary, "backup", join(folder, "x")], {
      env: { ...plainEnvironment(third.path), DEWEY_URL: url },
      stdout: "pipe",
      stderr: "pipe",
    });
    await until("the first bytes", () => readdirSync(folder).some((name) => statSync(join(folder, name)).size > 0));
    running.process.kill("SIGKILL");
    expect(await child.exited).toBe(69);
    expect(await new Response(child.stderr).text()).toContain("no file was written");
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("dewey backup", () => {
  test("replaces what lies at its place and writes through no link", async () => {
    const folder = join(home.path, "links");
    mkdirSync(folder);
    writeFileSync(join(folder, "victim"), "kept");
    symlinkSync(join(folder, "victim"), join(folder, "x.part"));
    symlinkSync(join(folder, "victim"), join(folder, "x"));
    expect(await run(["backup", join(folder, "x")], env)).toMatchObject({ code: 0, stderr: "" });
    expect(readFileSync(join(folder, "victim"), "utf8")).toBe("kept");
    expect(lstatSync(join(folder, "x")).isFile()).toBe(true);
    expect(readdirSync(folder).toSorted()).toEqual(["victim", "x", "x.part"]);
  });
});

describe.skipIf(tmux === null)("on a terminal", () => {
  test("a bar shows the progress of a backup, and is removed at the end", async () => {
    using screen = openTerminal([binary, "backup", join(home.path, "shown.backup")], env, WIDE);
    expect(await screen.until(/\[ended 0\]/)).toMatch(/^\S*shown\.backup holds 1 conversation, 50 messages/);
    expect(shares(await screen.written(), /[█░]{24} +(\d+) % {2}[\d,]+ rows?, [\d.]+ [kM]?B/g)).not.toEqual([]);
  });

  test("a bar shows the progress of a recovery, and is removed at the end", async () => {
    using screen = openTerminal([binary, "recover", file, "--force"], toEnv, WIDE);
    expect(await screen.until(/\[ended 0\]/)).toMatch(/^Recovered the backup/);
    const written = await screen.written();
    expect(shares(written, /[█░]{24} +(\d+) % {2}[\d.]+ MB of [\d.]+ MB/g)).not.toEqual([]);
    expect(written).toMatch(/█{24} 100 % {2}building indexes …/);
  });

  /** The percentages that each bar has shown; they only grow. */
  function shares(written: string, bar: RegExp): number[] {
    const percent = [...written.matchAll(bar)].map(([, share]) => Number(share));
    expect(percent).toEqual(percent.toSorted((a, b) => a - b));
    return percent;
  }
});
