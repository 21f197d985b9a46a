import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { binary, startServe } from "../../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../../support/home.ts";
import type { Running } from "../../support/binary.ts";
import { WIDE, openTerminal, tmux } from "../../support/tmux.ts";

const home = temporaryHome();
const project = join(realpathSync(home.path), "project");
let server: Running;
let env: Record<string, string>;

beforeAll(async () => {
  const { running, url } = await startServe(home.path, { DEWEY_CONTEXT_WRITES: "off" });
  server = running;
  env = { ...plainEnvironment(home.path), TZ: "UTC", DEWEY_URL: url };
  mkdirSync(join(project, "src"), { recursive: true });
});

afterAll(async () => {
  await server.stop();
  home[Symbol.dispose]();
});

/** Runs `dewey context` in a folder, with a text on its stdin. */
async function context(args: string[], input = "", cwd = project) {
  const child = Bun.spawn([binary, "context", ...args], {
    env,
    cwd,
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { stdout, stderr, code: await child.exited };
}

const json = async (...args: string[]) => JSON.parse((await context([...args, "--json"])).stdout);

/** Stores two texts under a name, the second of which is current. */
async function keep(name: string): Promise<void> {
  await context(["edit", name], "Speak **plainly**.\n");
  await context(["edit", name], "Be brief.\n");
}

// The server lets no MCP client change contexts: a person's commands do not go over MCP for that.
describe("dewey context", () => {
  test("makes a context from stdin, changes it, and shows it", async () => {
    expect((await context(["list"])).stdout).toMatch(/create one with: \S*dewey context edit NAME/);
    expect((await context(["edit", "team"], "Speak **plainly**.\n")).stdout).toStartWith("team is stored; ");
    expect((await context(["edit", "team"], "Speak **plainly**.")).stdout).toBe("Nothing was changed.\n");
    expect((await context(["edit", "team"], "Be brief.\n")).code).toBe(0);
    expect((await context(["show", "team"])).stdout).toBe("Be brief.\n");
    expect(await context(["edit", "team"], "\n")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("not be empty"),
    });
  });

  test("ties one to the current folder and all below it", async () => {
    await keep("tied");
    expect(await context(["show"])).toMatchObject({ code: 1, stderr: expect.stringContaining("is active here") });
    expect((await context(["use", "tied"])).stdout).toBe(`${project} begins its sessions with tied\n`);
    expect((await context(["show"], "", join(project, "src"))).stdout).toBe("Be brief.\n");
    expect((await context(["list"])).stdout).toMatch(new RegExp(`^tied +\\S+ \\S+  ${project}$`, "m"));
    expect((await context(["show"], "", home.path)).code).toBe(1);
    expect((await context(["use", "--none"])).stdout).toBe(`${project} has no startup context of its own\n`);
    expect((await context(["show"])).code).toBe(1);
    expect((await context(["use", "tied", "--everywhere"])).stdout).toBe("tied is the active startup context\n");
    expect((await context(["show"], "", home.path)).stdout).toBe("Be brief.\n");
    await context(["rm", "tied", "--force"]);
  });

  test("lists every change with its author, and brings an earlier text back", async () => {
    await keep("told");
    for (const how of [["told"], ["--none"], ["told", "--everywhere"]]) await context(["use", ...how]);
    const { versions, total } = await json("history", "told");
    expect(total).toBe(5);
    expect(versions.map((each: { change: string }) => each.change)).toEqual([
      "activated",
      "untied",
      "tied",
      "set",
      "set",
    ]);
    expect(versions[0]).toMatchObject({ client_name: "dewey", client_version: expect.stringMatching(/^\d/) });
    const { stdout } = await context(["history", "told"]);
    expect(stdout).toContain(`tied ${project} `);
    expect(stdout).toMatch(/dewey \d+\.\d+\.\d+ {2}[0-9a-f-]{36}$/m);
    expect((await context(["show", "told", "--version", "1"])).stdout).toBe("Speak **plainly**.\n");
    expect((await context(["restore", "told", "--version", "1"])).stdout).toContain("text of version 1 again");
    expect((await context(["show", "told"])).stdout).toBe("Speak **plainly**.\n");
    expect((await json("list")).contexts).toContainEqual(expect.objectContaining({ name: "told", is_active: true }));
  });

  test("deletes one, the active one only with --force, so that it can be brought back", async () => {
    await keep("deleted");
    await context(["use", "deleted", "--everywhere"]);
    expect(await context(["rm", "deleted"])).toMatchObject({ code: 1, stderr: expect.stringContaining("--force") });
    expect((await context(["rm", "deleted", "--force"])).stdout).toContain("its history is kept");
    expect(await context(["show", "deleted"])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("no startup context"),
    });
    expect((await context(["restore", "deleted", "--version", "2"])).code).toBe(0);
    expect((await context(["show", "deleted"])).stdout).toBe("Be brief.\n");
  });

  test("reports a failure in one line and with exit code 2 or 1", async () => {
    await keep("asked");
    for (const args of [
      [],
      ["paint"],
      ["show", "asked", "--version", "x"],
      ["edit"],
      ["restore", "asked"],
      ["list", "asked"],
    ]) {
      expect(await context(args)).toMatchObject({ code: 2, stdout: "" });
    }
    expect(await context(["show", "asked", "--version", "99"])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("version 99"),
    });
    expect(await context(["use", "missing"])).toMatchObject({ code: 1, stdout: "" });
  });
});

describe.skipIf(tmux === null)("dewey context edit on a terminal", () => {
  function editor(script: string): string {
    const file = join(home.path, "editor");
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
    return file;
  }
  const opened = (name: string, script: string) =>
    openTerminal([binary, "context", "edit", name], { ...env, EDITOR: editor(script), TMPDIR: home.path }, WIDE);

  test("opens the text in $EDITOR and stores the result", async () => {
    await context(["edit", "notes"], "first line");
    using screen = opened("notes", 'echo "second line" >> "$1"');
    expect(await screen.until(/\[ended 0\]/)).toContain("notes is stored");
    expect((await context(["show", "notes"])).stdout).toBe("first line\nsecond line\n");
  });

  test("stores nothing when the editor fails", async () => {
    await keep("unchanged");
    using screen = opened("unchanged", 'echo lost > "$1"; exit 3');
    expect(await screen.until(/\[ended 69\]/)).toContain("nothing was changed");
    expect((await context(["show", "unchanged"])).stdout).toBe("Be brief.\n");
  });

  test("does not overwrite someone else's change, and keeps the user's text", async () => {
    await keep("raced");
    using screen = opened(
      "raced",
      `echo mine > "$1"; touch "${home.path}/editing"; while [ ! -e "${home.path}/go" ]; do sleep 0.05; done`,
    );
    while (!existsSync(join(home.path, "editing"))) await Bun.sleep(20);
    await context(["edit", "raced"], "theirs");
    writeFileSync(join(home.path, "go"), "");
    const [, place = ""] = /your text is in (\S+)/.exec(await screen.until(/\[ended 1\]/)) ?? [];
    expect(readFileSync(place, "utf8")).toBe("mine\n");
    expect((await context(["show", "raced"])).stdout).toBe("theirs\n");
  });
});
