import { expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { binary, startServe } from "../support/binary.ts";
import { documents, shownCommands } from "../support/documents.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import { Rpc } from "../support/rpc.ts";

// Every command of Dewey's that a document shows to be copied is run, in an empty home, against a server with one conversation.

/** These run until they are stopped, or reach beyond this machine; their forms are checked with all others. */
const RUN_ON = /^dewey (up|serve|proxy|watch|tail|demo|open|upgrade)\b/;

const shown = documents()
  .filter(({ path }) => path === "README.md" || path.startsWith("docs/"))
  .flatMap(({ path, text }) => shownCommands(text).map((line) => ({ path, line })))
  // What stands behind a pipe is another program, which may need another user's rights.
  .map(({ path, line }) => ({ path, line: line.split(" | ")[0] ?? "" }))
  .filter(({ line }) => line.startsWith("dewey ") && !RUN_ON.test(line));

test("the commands that the documents show to be copied work", async () => {
  using home = temporaryHome();
  const { running, url } = await startServe(home.path);
  await using _ = running;
  const rpc = await Rpc.open(url);
  await rpc.initialize();
  const { conversation_id } = await rpc.tool("dewey_begin_conversation", { metadata: { title: "The greenhouse" } });
  const content = "The hinge of the greenhouse is rusty.";
  await rpc.tool("dewey_store_message", { conversation_id, role: "user", content });
  rpc.close();
  const plain = plainEnvironment(home.path);
  const PATH = `${join(home.path, "bin")}:${plain["PATH"]}`;
  const env = { ...plain, PATH, DEWEY_URL: url, DEWEY_DATA_DIR: join(home.path, "data"), PAGER: "" };
  for (const folder of [".config/systemd/user", "bin"]) mkdirSync(join(home.path, folder), { recursive: true });
  symlinkSync(binary, join(home.path, "bin/dewey"));
  // `dewey import` fails where there is no session of any agent.
  const session = { type: "user", uuid: randomUUID(), sessionId: randomUUID(), timestamp: "2026-11-29T10:00:00.000Z" };
  mkdirSync(join(home.path, ".claude/projects/garden"), { recursive: true });
  writeFileSync(
    join(home.path, ".claude/projects/garden", `${session.sessionId}.jsonl`),
    `${JSON.stringify({ ...session, message: { role: "user", content: "Oil the hinge." } })}\n`,
  );
  expect(shown.length).toBeGreaterThan(10);
  for (const { path, line } of shown) {
    const child = Bun.spawn(["/bin/sh", "-c", line], {
      cwd: home.path,
      env,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    expect({ path, line, code, said: code === 0 ? "" : stdout + stderr }).toEqual({ path, line, code: 0, said: "" });
  }
});
