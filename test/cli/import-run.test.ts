import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Talk } from "../../src/cli/client-command.ts";
import { ImportRun } from "../../src/cli/import-run.ts";
import { DeweyError } from "../../src/errors.ts";
import type { Json } from "../../src/wire/frame.ts";
import { temporaryHome } from "../support/home.ts";
import { fileListener } from "../support/listener.ts";

const served = fileListener();

/** Imports what is in a folder. */
async function imported(
  folder: string,
  call: (tool: string, args: Json) => Promise<Json> = served.client.call.bind(served.client),
) {
  const talk = { call, json: true, invocation: { stopping: new AbortController().signal } } as unknown as Talk;
  const run = new ImportRun(talk, false);
  await run.all([folder], true);
  return { ...(run.values() as { messages: number; faults: Json[]; unreadable: number }), exitCode: run.exitCode };
}

function row(session: string, text: string, more: object = {}): string {
  const message = { role: "user", content: text };
  const common = { uuid: crypto.randomUUID(), sessionId: session, cwd: "/work", timestamp: "2026-01-02T03:04:05.000Z" };
  return `${JSON.stringify({ type: "user", ...common, message, ...more })}\n`;
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

async function contents(conversation_id: string): Promise<string[]> {
  const page = await served.client.call("dewey_get_conversation", { conversation_id });
  return (page["messages"] as { content: string }[]).map(({ content }) => content);
}

/** A call that fails by a fault of the server's where the arguments of one tool say something. */
function failing(tool: string, mark: string) {
  return (name: string, args: Json): Promise<Json> =>
    name === tool && JSON.stringify(args).includes(mark)
      ? Promise.reject(new DeweyError("internal", "a fault of the server's"))
      : served.client.call(name, args);
}

test("an import names what the server failed to store, stores everything else, and stores that the next time", async () => {
  using home = temporaryHome();
  const [one, two] = [crypto.randomUUID(), crypto.randomUUID()];
  write(join(home.path, `${one}.jsonl`), ["before", "POISON", "behind"].map((text) => row(one, text)).join(""));
  write(join(home.path, `${two}.jsonl`), row(two, "other"));
  const first = await imported(home.path, failing("dewey_import_messages", "POISON"));
  expect(first).toMatchObject({ messages: 3, refused: 1, exitCode: 3 });
  expect(first.faults).toEqual([
    { source: join(home.path, `${one}.jsonl`), row: 2, reason: "a fault of the server's" },
  ]);
  expect(await contents(one)).toEqual(["before", "behind"]);
  expect(await contents(two)).toEqual(["other"]);
  expect(await imported(home.path)).toMatchObject({ messages: 1, refused: 0, exitCode: 0 });
  expect(await contents(one)).toContain("POISON");
});

test("an import goes on when the server fails to say what it knows, and with what it refuses for good", async () => {
  using home = temporaryHome();
  const session = crypto.randomUUID();
  write(join(home.path, `${session}.jsonl`), row(session, "the text"));
  const call = failing("dewey_list_known_messages", session);
  expect(await imported(home.path, call)).toMatchObject({ messages: 1, faults: [], exitCode: 0 });
  const other = crypto.randomUUID();
  write(join(home.path, `${other}.jsonl`), row(other, "good") + row(other, "bad"));
  const refusing = (tool: string, args: Json) =>
    tool === "dewey_import_messages" && JSON.stringify(args).includes("bad")
      ? Promise.reject(new DeweyError("invalid", "content is refused"))
      : served.client.call(tool, args);
  expect(await imported(home.path, refusing)).toMatchObject({ messages: 1, refused: 1, exitCode: 1 });
});

test("an import names a file beside another that cannot be read, and reads everything else", async () => {
  using home = temporaryHome();
  const session = crypto.randomUUID();
  const folder = join(home.path, session, "subagents");
  const [facts, above] = [join(folder, "agent-a1.meta.json"), join(home.path, `${session}.jsonl`)];
  // Folders of these names: a test that runs as root may read every file.
  mkdirSync(facts, { recursive: true });
  mkdirSync(above);
  const agentRow = (agentId: string, text: string) => row(session, text, { agentId, isSidechain: true });
  write(join(folder, "agent-a1.jsonl"), agentRow("a1", "first") + agentRow("a1", "second"));
  write(join(folder, "agent-a2.jsonl"), agentRow("a2", "third"));
  const task = join(home.path, "tasks/1700000000000");
  mkdirSync(join(home.path, "state/taskHistory.json"), { recursive: true });
  const said = [{ ts: 1_700_000_000_000, type: "say", say: "text", text: "a task" }];
  write(join(task, "ui_messages.json"), JSON.stringify(said));
  const run = await imported(home.path);
  expect(run).toMatchObject({ messages: 4, exitCode: 3 });
  expect(run.faults.map((fault) => String(fault["source"])).toSorted()).toEqual(
    [above, facts, join(home.path, "state/taskHistory.json")].toSorted(),
  );
  // What lies beside may be read the next time, and then tell more.
  expect(await imported(home.path)).toMatchObject({ messages: 0, exitCode: 3 });
});
