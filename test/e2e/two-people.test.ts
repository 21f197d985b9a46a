import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chownSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { HookQueue } from "../../src/capture/hook-queue.ts";
import { binary, run, start } from "../support/binary.ts";
import type { Running } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import { Rpc, until } from "../support/rpc.ts";

/** `nobody`, on every Linux. */
const OTHER_UID = 65_534;
const asOther = ["setpriv", `--reuid=${OTHER_UID}`, `--regid=${OTHER_UID}`, "--clear-groups", binary];

/** Only root can start a process of another user; that user must reach the binary too. */
const canBeOther =
  process.getuid?.() === 0 &&
  Bun.which("setpriv") !== null &&
  Bun.spawnSync([...asOther, "--version"], { stdout: "ignore", stderr: "ignore" }).exitCode === 0;

describe.skipIf(!canBeOther)("another user's server on this machine (needs root, to be two users)", () => {
  const [theirs, ours] = [temporaryHome(), temporaryHome()];
  let server: Running;
  let url: string;
  let env: Record<string, string>;
  beforeAll(async () => {
    chownSync(theirs.path, OTHER_UID, OTHER_UID);
    const [program = "", ...args] = asOther;
    const serve = ["serve", "--port", "0", "--data-dir", join(theirs.path, "data")];
    server = start([...args, ...serve], plainEnvironment(theirs.path), theirs.path, program);
    [, url = ""] = await server.until("stderr", /"event":"serving","url":"([^"]+)"/);
    env = { ...plainEnvironment(ours.path), DEWEY_URL: url, DEWEY_DATA_DIR: join(ours.path, "data") };
  });
  afterAll(async () => {
    await server.stop();
    theirs[Symbol.dispose]();
    ours[Symbol.dispose]();
  });

  const complaint = `belongs to another user of this machine (uid ${OTHER_UID})`;

  test("is refused by every command that would send or read something, with the remedy", async () => {
    for (const args of [
      ["list"],
      ["search", "x"],
      ["context", "list"],
      ["backup", join(ours.path, "b")],
      ["reindex"],
    ]) {
      const { code, stdout, stderr } = await run(args, env);
      expect([args, code, stdout, stderr]).toEqual([args, 69, "", expect.stringContaining(complaint)]);
      expect(stderr).toContain("DEWEY_TOKEN");
    }
  });

  test("is not connected to a client", async () => {
    const file = join(ours.path, "mcp.json");
    expect(await run(["connect", file], env)).toMatchObject({ code: 69, stderr: expect.stringContaining(complaint) });
    expect(existsSync(file)).toBe(false);
  });

  test("gets nothing from hooks: events wait, and the log says why", async () => {
    const queue = new HookQueue(join(ours.path, "data/spool/hooks"));
    queue.put({ session_id: "s", hook_event_name: "UserPromptSubmit", prompt: "for us only", cwd: ours.path });
    await using delivering = start(["hook", "--deliver"], env);
    const log = () => readFileSync(join(ours.path, "data/hook.log"), "utf8");
    await until(
      "the complaint in the log",
      () => existsSync(join(ours.path, "data/hook.log")) && log().includes(complaint),
    );
    await delivering.stop();
    expect(queue.waiting()).toHaveLength(1);
    for (const name of queue.waiting()) queue.remove(name);
  });

  test("is not relayed to by our proxy, nor by dewey serve --stdio", async () => {
    await using proxy = start(["proxy"], { ...env, DEWEY_PROXY_PORT: "0" });
    const [, proxyUrl = ""] = await proxy.until("stderr", /"event":"relaying","url":"([^"]+)"/);
    const rpc = await Rpc.open(`${proxyUrl}?upstream=dewey`, {});
    void rpc.initialize().catch(() => {});
    await proxy.until("stderr", /belongs to another user of this machine/);
    rpc.close();
    const stdio = Bun.spawn([binary, "serve", "--stdio"], { env, stdin: "pipe", stdout: "pipe", stderr: "pipe" });
    void stdio.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" })}\n`);
    await stdio.stdin.flush();
    const { value } = await stdio.stderr.getReader().read();
    expect(new TextDecoder().decode(value)).toContain(complaint);
    stdio.kill();
    await stdio.exited;
  });

  test("is a fault for the doctor", async () => {
    const { stdout, code } = await run(["doctor", "--json"], env);
    const { checks } = JSON.parse(stdout) as { checks: { name: string; state: string; text: string }[] };
    expect(code).toBe(1);
    expect(checks.find(({ name }) => name === "server")).toMatchObject({
      state: "fault",
      text: expect.stringContaining(complaint),
      remedy: expect.stringContaining("DEWEY_TOKEN"),
    });
  });

  test("is used with a token, which is how a person says that it is meant", async () => {
    expect(await run(["list"], { ...env, DEWEY_TOKEN: "t" })).toMatchObject({ code: 0, stderr: "" });
  });
});
