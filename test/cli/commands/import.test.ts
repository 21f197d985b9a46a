import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, cpSync, mkdirSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { binary, databaseAddress, run, start, startServe } from "../../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../../support/home.ts";
import type { Running } from "../../support/binary.ts";
import { Forwarder } from "../../support/forwarder.ts";
import { Rpc, until } from "../../support/rpc.ts";
import { connect, emptyDatabase, engines } from "../../support/postgres.ts";
import { openTerminal, tmux } from "../../support/tmux.ts";
import { zip } from "../../support/zip.ts";

const [engine] = engines;
const home = temporaryHome();
const session = "971be6d3-ff25-495f-81bd-2d36c20f730a";
let server: Running;
let env: Record<string, string>;
let rpc: Rpc;

beforeAll(async () => {
  const started = await startServe(home.path);
  server = started.running;
  env = { ...plainEnvironment(home.path), DEWEY_URL: started.url };
  rpc = await Rpc.open(started.url);
  await rpc.initialize();
});

afterAll(async () => {
  rpc.close();
  await server.stop();
  home[Symbol.dispose]();
});

interface Page {
  session_id: string;
  messages: { id: string; turn: number; role: string; content: string; created_at: string }[];
}

const read = async (conversation_id: string) =>
  (await rpc.tool("dewey_get_conversation", { conversation_id, full: true })) as unknown as Page;
const contents = async (conversation_id: string) => {
  try {
    return (await read(conversation_id)).messages.map((message) => message.content);
  } catch {
    return [];
  }
};
const file = (name: string, text: string | Buffer) => {
  const path = join(home.path, name);
  writeFileSync(path, text);
  return path;
};
const row = (sessionId: string, uuid: string, content: string, more: object = {}) =>
  `${JSON.stringify({ type: "user", uuid, sessionId, cwd: "/x", timestamp: "2026-01-01T00:00:00Z", message: { content }, ...more })}\n`;

/** An export of Dewey with long messages, which one call stores in parts of three. */
const dewey = (conversation_id: string, messages: number) =>
  [
    { type: "dewey_export", version: 1 },
    { type: "conversation", conversation_id, metadata: null },
    ...Array.from({ length: messages }, (_, index) => ({
      type: "message",
      conversation_id,
      message_id: crypto.randomUUID(),
      role: "user",
      content: `${index + 1} `.padEnd(120_000, "word "),
      metadata: null,
      turn_number: index + 1,
    })),
  ]
    .map((each) => JSON.stringify(each))
    .join("\n");

describe("dewey import", () => {
  test("without a path imports all of Claude Code's transcripts with their sub-agents, and nothing the second time", async () => {
    const project = join(home.path, ".claude/projects/-home-ada-project");
    mkdirSync(project, { recursive: true });
    cpSync(join(import.meta.dir, "../../capture/recorded"), project, { recursive: true });
    const first = await run(["import"], env);
    // Only the file of events beside the transcripts has an unknown format.
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(first.stdout).toBe(
      "14 messages imported, 0 known already, in 2 conversations from 2 files.\n1 file skipped: unknown format.\n" +
        `  ${project}/events.jsonl: looks like JSON with session_id, transcript_path, cwd, hook_event_name, source, prompt_id\n`,
    );
    const { session_id, messages } = await read(session);
    expect(session_id).toBe(session);
    expect(messages.filter((message) => message.role !== "system")).toHaveLength(12);
    expect(messages.find((message) => message.role === "user")?.created_at).toBe("2026-11-25T08:39:08.959Z");
    const found = await rpc.tool("dewey_list_conversations", { session_id: session });
    expect(found["total"]).toBe(2);

    const second = JSON.parse((await run(["import", "--json"], env)).stdout) as object;
    expect(second).toMatchObject({
      files: 2,
      rows: 20,
      messages: 0,
      known: 14,
      conversations: 2,
      passed_over: 1,
      faults: [],
    });
    expect((await read(session)).messages).toEqual(messages);
  });

  test("reports broken rows with their lines, counts unknown types, and loses nothing else", async () => {
    const id = crypto.randomUUID();
    const path = file(
      "broken.jsonl",
      `${row(id, "1", "before")}{"type":"user", torn\n${row(id, "2", "", { type: "novelty" })}[]\n${row(id, "3", "after")}`,
    );
    const { stdout, code } = await run(["import", path], env);
    expect(code).toBe(3);
    expect(stdout).toContain("3 messages imported");
    expect(stdout).toContain("Kept rows of unknown types: novelty (1).");
    expect(stdout).toContain(`2 faults:\n  ${path}:2: JSON Parse error`);
    expect(stdout).toContain(`  ${path}:4: not an object`);
    expect(await contents(id)).toEqual(["before", "[novelty]", "after"]);
  });

  test("skips only the message that the store refuses, reports it, and fails", async () => {
    const id = crypto.randomUUID();
    const message = (turn_number: number, message_id: string = crypto.randomUUID()) => ({
      type: "message",
      conversation_id: id,
      message_id,
      role: "user",
      content: `turn ${turn_number}`,
      metadata: null,
      turn_number,
    });
    const rows = [
      { type: "dewey_export", version: 1 },
      { type: "conversation", conversation_id: id, metadata: null },
      message(1),
      message(2, "no-uuid"),
      message(3),
    ];
    const path = file("refused.jsonl", rows.map((each) => JSON.stringify(each)).join("\n"));
    const { stdout, code } = await run(["import", path], env);
    expect(code).toBe(1);
    expect(stdout).toContain(`${path}:4: messages[0].message_id should be a UUID`);
    expect((await read(id)).messages.map((each) => each.turn)).toEqual([1, 3]);
  });

  test("counts what is stored of a large batch as new, though one message of it is refused", async () => {
    const id = crypto.randomUUID();
    await rpc.tool("dewey_begin_conversation", { conversation_id: id });
    await rpc.tool("dewey_store_message", { conversation_id: id, role: "user", content: "here", turn_number: 8 });
    const path = file("large.jsonl", dewey(id, 12));
    const { stdout, code } = await run(["import", path, "--json"], env);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ messages: 11, known: 0, refused: 1 });
    expect((await read(id)).messages.map((each) => each.turn)).toEqual(Array.from({ length: 12 }, (_, at) => at + 1));
  });

  test("after the server was killed between the parts of a batch, stores the rest, and nothing twice", async () => {
    if (!engine) throw new Error("there is no PostgreSQL");
    using other = temporaryHome();
    const connection = await emptyDatabase(engine);
    const address = { DEWEY_DATABASE_URL: databaseAddress(connection) };
    const first = await startServe(other.path, address);
    await using sql = connect(connection);
    await sql`create function await_lock() returns trigger language plpgsql as
      $$ begin perform pg_advisory_xact_lock(1); return new; end $$`.simple();
    await sql`create trigger await_lock before insert on messages for each row
      when (new.content like '10 %') execute function await_lock()`.simple();
    const id = crypto.randomUUID();
    const path = file("killed.jsonl", dewey(id, 12));
    await using lock = connect(connection);
    await lock`select pg_advisory_lock(1)`;
    const importing = start(["import", path], { ...plainEnvironment(other.path), DEWEY_URL: first.url });
    await until("the part that waits", async () => {
      const [waits]: { found: boolean }[] = await sql`
        select exists (select from pg_locks where locktype = 'advisory' and not granted) as found`;
      return waits?.found === true;
    });
    // The command first: it would start another server.
    importing.process.kill("SIGKILL");
    await importing.process.exited;
    first.running.process.kill("SIGKILL");
    await first.running.process.exited;
    const turns = async (): Promise<number[]> =>
      (await sql`select turn_number as turn from messages where conversation_id = ${id} order by turn_number`).map(
        ({ turn }: { turn: number }) => turn,
      );
    const all = Array.from({ length: 12 }, (_, at) => at + 1);
    expect([all.slice(0, 9), all.slice(0, 6)]).toContainEqual(await turns());
    await lock`select pg_advisory_unlock(1)`;

    const second = await startServe(other.path, address);
    const { stdout, code } = await run(["import", path, "--json"], {
      ...plainEnvironment(other.path),
      DEWEY_URL: second.url,
    });
    const { messages, known } = JSON.parse(stdout) as { messages: number; known: number };
    expect([code, messages + known]).toEqual([0, 12]);
    expect(await turns()).toEqual(all);
    expect(await second.running.stop()).toBe(0);
  });

  test("reads an export from its zip", async () => {
    const uuid = crypto.randomUUID();
    const chats = [
      {
        uuid,
        name: "Cats",
        created_at: "2025-01-01T00:00:00Z",
        chat_messages: [{ uuid: "m", sender: "human", text: "hi", content: [] }],
      },
    ];
    const path = file("export.zip", zip({ "users.json": "[]", "conversations.json": JSON.stringify(chats) }));
    expect((await run(["import", path], env)).stdout).toStartWith(
      "1 message imported, 0 known already, in 1 conversation from 1 file.",
    );
    expect(await contents(uuid)).toEqual(["hi"]);
  });

  test("adds to a deleted conversation without restoring it", async () => {
    const id = crypto.randomUUID();
    const path = file("trashed.jsonl", row(id, "1", "one"));
    await run(["import", path], env);
    await rpc.tool("dewey_delete_conversation", { conversation_id: id });
    appendFileSync(path, row(id, "2", "two"));
    expect(await run(["import", path], env)).toMatchObject({ code: 0 });
    expect(await contents(id)).toEqual([]);
    await rpc.tool("dewey_restore_conversation", { conversation_id: id });
    expect(await contents(id)).toEqual(["one", "two"]);
  });

  test("reads no file again that is stored in full, until something has changed or was deleted for good", async () => {
    const id = crypto.randomUUID();
    const text = `${row(id, "1", "one")}${row(id, "2", "two", { type: "novelty" })}{"type":"user", torn\n`;
    const path = file("whole.jsonl", text);
    const asked = async () => {
      const metrics = await (await fetch(new URL("/metrics", env["DEWEY_URL"]?.replace("ws:", "http:")))).text();
      return Number(/^dewey_tool_calls_total\{tool="dewey_list_known_messages".*\} (\d+)$/m.exec(metrics)?.[1] ?? 0);
    };
    const imported = async () => {
      const before = await asked();
      const { stdout, code } = await run(["import", "--json", path], env);
      return { ...(JSON.parse(stdout) as object), code, isRead: (await asked()) > before };
    };
    const told = { files: 1, rows: 3, conversations: 1, unknown: { novelty: 1 }, broken: 1, code: 3 };
    const faults = [{ source: path, row: 3, reason: expect.any(String) as string }];
    expect(await imported()).toMatchObject({ ...told, messages: 2, known: 0, faults, isRead: true });
    expect(await imported()).toMatchObject({ ...told, messages: 0, known: 2, faults, isRead: false });

    const { atime, mtime } = statSync(path);
    writeFileSync(path, text.replace('"two"', '"too"'));
    utimesSync(path, atime, mtime);
    expect(await imported()).toMatchObject({ ...told, messages: 0, versions: 1, known: 1, isRead: true });
    expect(await contents(id)).toEqual(["one", "two", "too"]);

    await rpc.tool("dewey_delete_conversation", { conversation_id: id });
    expect(await imported()).toMatchObject({ ...told, messages: 0, known: 2, isRead: false });
    await rpc.tool("dewey_delete_conversation", { conversation_id: id, force: true });
    expect(await imported()).toMatchObject({ ...told, messages: 2, known: 0, isRead: true });
    expect(await contents(id)).toEqual(["one", "too"]);
  });

  test("with --watch follows appended rows, partial ones included, and new files", async () => {
    const folder = join(home.path, "watched");
    mkdirSync(folder);
    const [first, second] = [crypto.randomUUID(), crypto.randomUUID()];
    const path = join(folder, "a.jsonl");
    writeFileSync(path, row(first, "1", "one"));
    await using watching = start(["import", "--watch", folder], env);
    await watching.until("stdout", /1 message imported/);
    const next = row(first, "2", "two");
    appendFileSync(path, next.slice(0, 20));
    writeFileSync(join(folder, "b.jsonl"), row(second, "1", "elsewhere"));
    await until("the new file", async () => (await contents(second)).length > 0);
    expect(await contents(first)).toEqual(["one"]);
    appendFileSync(path, next.slice(20));
    await until("the row that is whole now", async () => (await contents(first)).length === 2);
    expect(await watching.stop("SIGINT")).toBe(0);
    expect(watching.stdout()).toEndWith("3 messages imported, 0 known already, in 2 conversations from 1 file.\n");
  });

  test("continues after a broken connection, and stores everything once", async () => {
    const id = crypto.randomUUID();
    const rows = Array.from({ length: 20_000 }, (_, index) => row(id, `${index}`, `row ${index}`));
    const path = file("interrupted.jsonl", rows.join(""));
    const count = async () => {
      const { conversations } = await rpc.tool("dewey_list_conversations", { session_id: id });
      return (conversations as { message_count: number }[])[0]?.message_count ?? 0;
    };
    const cable = await Forwarder.to(Number(new URL(env["DEWEY_URL"] ?? "").port));
    const importing = run(["import", path, "--json"], { ...env, DEWEY_URL: `ws://127.0.0.1:${cable.port}` });
    await until("the first rows", async () => (await count()) > 0);
    cable.cut();
    cable.mend();
    const { stdout, stderr, code } = await importing;
    expect([code, stderr]).toEqual([0, ""]);
    const { messages, known } = JSON.parse(stdout) as { messages: number; known: number };
    // Messages that were stored without a reply are recognised when they are sent again.
    expect(messages + known).toBe(rows.length);
    expect(await count()).toBe(rows.length);
    cable.stop();
  });

  test("without a path reads every client's sessions, also from a database in use, and names the file that is broken", async () => {
    using other = temporaryHome();
    const elsewhere = { ...plainEnvironment(other.path), DEWEY_URL: env["DEWEY_URL"] ?? "" };
    const session = crypto.randomUUID();
    const bubble = { type: 1, text: "look at WOMBAT", createdAt: "2026-01-01T00:00:00Z" };
    const composer = { name: "Cats", fullConversationHeadersOnly: [{ bubbleId: "b" }] };
    mkdirSync(join(other.path, ".config/Cursor/User/globalStorage"), { recursive: true });
    mkdirSync(join(other.path, ".gemini/tmp/x/chats"), { recursive: true });
    mkdirSync(join(other.path, ".claude/projects/x"), { recursive: true });
    using database = new Database(join(other.path, ".config/Cursor/User/globalStorage/state.vscdb"));
    database.run("pragma journal_mode = wal");
    database.run("create table cursorDiskKV (key, value)");
    const insert = database.query("insert into cursorDiskKV values (?, ?)");
    insert.run(`composerData:${session}`, JSON.stringify(composer));
    insert.run(`bubbleId:${session}:b`, JSON.stringify(bubble));
    const gemini = { sessionId: crypto.randomUUID(), projectHash: "h", startTime: "2026-01-01T00:00:00Z" };
    const said = { id: "u", type: "user", timestamp: "2026-01-01T00:00:00Z", content: "hello" };
    writeFileSync(
      join(other.path, ".gemini/tmp/x/chats/session-1.jsonl"),
      `${JSON.stringify(gemini)}\n${JSON.stringify(said)}\n`,
    );
    const id = crypto.randomUUID();
    writeFileSync(join(other.path, `.claude/projects/x/${id}.jsonl`), `{"type":"user", torn\n${row(id, "1", "whole")}`);
    const { stdout, code } = await run(["import"], elsewhere);
    expect(stdout).toStartWith("3 messages imported, 0 known already, in 3 conversations from 3 files.\n1 fault:\n");
    expect(stdout).toContain(`.claude/projects/x/${id}.jsonl:1: JSON Parse error`);
    expect(code).toBe(3);
    for (const [conversation, content] of [
      [session, "look at WOMBAT"],
      [gemini.sessionId, "hello"],
      [id, "whole"],
    ] as const)
      expect(await contents(conversation)).toEqual([content]);
    const again = JSON.parse((await run(["import", "--json"], elsewhere)).stdout) as object;
    expect(again).toMatchObject({ messages: 0, known: 3, versions: 0 });
  });

  test("says that a file is empty, and shows the hidden characters in a file's name", async () => {
    const empty = await run(["import", file("empty.jsonl", "")], env);
    expect(empty).toMatchObject({ code: 3, stdout: expect.stringContaining("/empty.jsonl: is empty\n") });
    const hidden = await run(
      ["import", file("a\u001b[31m\nb.jsonl", `{"type":"user", torn\n${row(crypto.randomUUID(), "1", "x")}`)],
      env,
    );
    expect(hidden.stdout).toContain("/a␛[31m␊b.jsonl:1: JSON Parse error");
  });

  test("names what it could not read, says what an unknown folder looks like, and reads all the rest", async () => {
    const folder = join(home.path, "mixed");
    mkdirSync(folder);
    const id = crypto.randomUUID();
    symlinkSync("nowhere", join(folder, "a-broken.jsonl"));
    writeFileSync(join(folder, "b.jsonl"), `${row(id, "1", "one").trim()}${row(id, "2", "two")}`);
    writeFileSync(join(folder, "c.jsonl"), '{"some":"log"}\n');
    writeFileSync(join(folder, "d.jsonl"), "");
    const mixed = await run(["import", folder], env);
    expect(mixed.code).toBe(3);
    expect(mixed.stdout).toContain(`${folder}/a-broken.jsonl: is a broken link`);
    expect(mixed.stdout).toContain(`2 files skipped: unknown format.\n  ${folder}/c.jsonl`);
    expect(mixed.stdout).toContain("\n  and 1 more, empty or JSON such as settings\n");
    expect(await contents(id)).toEqual(["one", "two"]);
    const unknown = join(home.path, "unknown");
    mkdirSync(unknown);
    writeFileSync(join(unknown, "session-1.json"), '{"sessionId":"x","projectHash":"y"}');
    writeFileSync(join(unknown, "notes.md"), "x");
    expect(await run(["import", unknown], env)).toMatchObject({
      code: 3,
      stdout: expect.stringContaining(
        `${unknown}: holds nothing that dewey import knows: 1 .md, 1 .json; ${unknown}/session-1.json looks like JSON with sessionId, projectHash`,
      ),
    });
  });

  test("names conversations by what was said first, or as a person says", async () => {
    const id = crypto.randomUUID();
    await run(["import", file("named.jsonl", row(id, "1", "why is the sky blue"))], env);
    expect((await run(["list", "--session", id], env)).stdout).toMatch(/why is the sky blue +x +claude-code/);
    expect(await run(["rename", id, "Sky", "colours"], env)).toMatchObject({ code: 0, stdout: "Sky colours\n" });
    expect((await run(["show", id], env)).stdout).toStartWith("# Sky colours\n");
    expect((await run(["export", "--conversation", id, "--format", "markdown"], env)).stdout).toStartWith(
      "# Sky colours\n",
    );
    expect((await run(["search", "--session", id, "sky"], env)).stdout).toContain("Sky colours · claude-code");
    const missing = await run(["rename", crypto.randomUUID(), "x"], env);
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining("there is no conversation") });
  });

  test("reports wrong arguments", async () => {
    const notes = file("notes.txt", "hello");
    expect(await run(["import", notes], env)).toMatchObject({
      code: 3,
      stdout: expect.stringContaining(`${notes}: has a format that dewey import does not know`),
    });
    const nothing = await run(["import", join(home.path, "missing")], env);
    expect(nothing).toMatchObject({ code: 1, stderr: `dewey: there is no ${join(home.path, "missing")}\n` });
    using empty = temporaryHome();
    const unset = await run(["import"], { ...plainEnvironment(empty.path), DEWEY_URL: env["DEWEY_URL"] ?? "" });
    expect(unset.code).toBe(1);
    expect(unset.stderr).toContain("found nothing to import; name a file or folder (dewey import PATH). Looked in:");
    expect(unset.stderr).toContain(`  Codex: ${empty.path}/.codex/sessions, ${empty.path}/.codex/archived_sessions\n`);
    expect(unset.stderr).toContain(`  Gemini CLI: ${empty.path}/.gemini/tmp/*/chats`);
    const away = await run(["import", join(import.meta.dir, "../../capture/recorded")], {
      ...env,
      DEWEY_URL: "ws://server.invalid:9020",
    });
    expect(away).toMatchObject({ code: 69, stderr: expect.stringContaining("start one there") });
    expect((await run(["import", "--help"], env)).stdout).toContain("usage: dewey import [--watch] [--json] [PATH …]");
  });
});

describe.skipIf(tmux === null)("on a terminal", () => {
  const large = (rows: number) =>
    file(
      "large.jsonl",
      Array.from({ length: rows }, (_, index) => row(session, `${index}`, "word ".repeat(20))).join(""),
    );

  test("a bar shows the progress of an import, and is removed at the end", async () => {
    using screen = openTerminal([binary, "import", large(6000)], env);
    const text = await screen.until(/\[ended 0\]/);
    expect(text).toMatch(/^6,000 messages imported/);
    expect(text).not.toContain("░");
    expect(await screen.written()).toMatch(/[█░]{24} +\d+ % {2}[\d,]+ messages? new, [\d,]+ known/);
  });

  test("the bar is removed before an error is printed", async () => {
    using other = temporaryHome();
    const { running, url } = await startServe(other.path);
    using screen = openTerminal([binary, "import", large(40_000)], { ...env, DEWEY_URL: url });
    await screen.until(/[█░]{24} +\d+ % {2}[\d,]+ messages new/);
    running.process.kill("SIGKILL");
    expect(await screen.until(/\[ended 69\]/)).toMatch(/^dewey: no Dewey server answers at /);
    await running.process.exited;
  });
});
