import { Database } from "bun:sqlite";
import { afterEach, describe, expect, setSystemTime, test } from "bun:test";
import {
  appendFileSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { DeweyError } from "../../src/errors.ts";
import { WatchState } from "../../src/capture/watch-state.ts";
import { Watcher } from "../../src/capture/watcher.ts";
import { createLog } from "../../src/log.ts";
import type { Json } from "../../src/wire/frame.ts";
import { temporaryHome } from "../support/home.ts";
import { until } from "../support/rpc.ts";

/** A row of Claude Code's, in a session of its own. */
const row = (session: string, text: string, uuid: string = crypto.randomUUID()) =>
  `${JSON.stringify({ type: "user", sessionId: session, uuid, parentUuid: null, cwd: "/p", version: "2", timestamp: "2026-11-01T10:00:00.000Z", message: { role: "user", content: text } })}\n`;

/** What a server is sent: it stores everything, and knows nothing again. */
function recordingServer() {
  const sent: string[] = [];
  return {
    sent,
    call: (tool: string, args: Json): Promise<Json> => {
      const messages = (args["messages"] ?? []) as { content: string }[];
      if (tool === "dewey_list_known_messages")
        return Promise.resolve({ missing: messages.map((_, index) => index), former: false });
      if (tool === "dewey_import_messages") sent.push(...messages.map((message) => message.content));
      return Promise.resolve({ stored: messages.length, known: 0 });
    },
  };
}

const running: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each.stop();
  setSystemTime();
});

function watching(folder: string | string[], state: string, server = recordingServer(), databases: string[] = []) {
  const stopping = new AbortController();
  const told: string[] = [];
  const log = createLog({ level: "warn", format: "json", write: (line) => void told.push(line) });
  let idle = 0;
  const opened = new WatchState(state, "ws://localhost");
  const { call } = server;
  const onIdle = () => void (idle += 1);
  const options = { folders: [folder].flat(), databases, state: opened, call, log, onIdle, stopping: stopping.signal };
  const work = new Watcher(options).run();
  const one = {
    told,
    sent: server.sent,
    /** Resolves when everything is read that was there. */
    settled: () => until("the first look", () => idle > 0),
    async stop() {
      stopping.abort();
      await work;
      opened.close();
    },
  };
  running.push(one);
  return {
    ...one,
    async stop() {
      running.splice(running.indexOf(one), 1);
      await one.stop();
    },
  };
}

/** A folder of sessions, and a place for the state. */
function place() {
  const home = temporaryHome();
  const folder = join(home.path, "projects");
  mkdirSync(folder);
  const path = (name: string) => join(folder, name);
  return {
    folder,
    state: join(home.path, "watch.sqlite"),
    path,
    write(name: string, text: string) {
      mkdirSync(dirname(path(name)), { recursive: true });
      appendFileSync(path(name), text);
    },
    [Symbol.dispose]: () => home[Symbol.dispose](),
  };
}

describe("the watch over sessions", () => {
  test("stores what is there, then what is added, also in new files and folders", async () => {
    using here = place();
    here.write("a/one.jsonl", row("one", "first"));
    const watch = watching(here.folder, here.state);
    await watch.settled();
    expect(watch.sent).toEqual(["first"]);
    here.write("a/one.jsonl", row("one", "second"));
    await until("the second", () => watch.sent.includes("second"));
    here.write("b/c/two.jsonl", row("two", "third"));
    await until("the third", () => watch.sent.includes("third"));
    expect(watch.sent).toEqual(["first", "second", "third"]);
  });

  test("takes titles from a file of their own at once, also before their session is there", async () => {
    using here = place();
    const [id, other] = [crypto.randomUUID(), crypto.randomUUID()];
    const title = (thread_name: string, session = id) => `${JSON.stringify({ id: session, thread_name })}\n`;
    const meta = { timestamp: "2026-11-01T10:00:00Z", type: "session_meta", payload: { id } };
    const begun = new Set<unknown>();
    const titles: unknown[] = [];
    const server = recordingServer();
    const call = (tool: string, args: Json) => {
      const conversation = args["conversation_id"];
      if (tool === "dewey_begin_conversation") begun.add(conversation);
      if (tool === "dewey_update_conversation" && !begun.has(conversation))
        return Promise.reject(new DeweyError("not_found", "there is no such conversation"));
      if (tool === "dewey_update_conversation" && args["title"] !== undefined) titles.push(args["title"]);
      return server.call(tool, args);
    };
    const index = join(dirname(here.folder), "session_index.jsonl");
    writeFileSync(index, title("Named early") + title("Gone", other));
    const watch = watching([here.folder, index], here.state, { ...server, call });
    await watch.settled();
    expect(titles).toEqual([]);
    here.write("rollout.jsonl", `${JSON.stringify(meta)}\n`);
    await until("the early title", () => titles.includes("Named early"));
    appendFileSync(index, title("Named later"));
    await until("the later title", () => titles.includes("Named later"));
    writeFileSync(`${index}.new`, title("Named last"));
    renameSync(`${index}.new`, index);
    await until("the last title", () => titles.includes("Named last"));
    expect(titles).toEqual(["Named early", "Named later", "Named last"]);
    expect(watch.sent).toEqual(expect.arrayContaining(["Named early", "Named later", "Named last"]));
    expect(watch.told).toEqual([]);
  });

  test("finds the folders of new projects and of new clients at once", async () => {
    using here = place();
    const watch = watching(`${here.folder}/.client/tmp/*/chats`, here.state);
    await watch.settled();
    const startedMs = performance.now();
    here.write(".client/tmp/one/chats/a.jsonl", row("one", "of a new client"));
    await until("the new client", () => watch.sent.includes("of a new client"));
    here.write(".client/tmp/two/other.txt", "");
    here.write(".client/tmp/two/chats/b.jsonl", row("two", "of a new project"));
    await until("the new project", () => watch.sent.includes("of a new project"));
    here.write(".client/tmp/two/chats/b.jsonl", row("two", "more of it"));
    await until("more", () => watch.sent.includes("more of it"));
    expect(watch.sent).toEqual(["of a new client", "of a new project", "more of it"]);
    // The walk of every minute would find them too.
    expect(performance.now() - startedMs).toBeLessThan(30_000);
  });

  test("reads again what a call has failed to store", async () => {
    using here = place();
    const server = recordingServer();
    let asked = 0;
    const call = async (tool: string, args: Json): Promise<Json> => {
      if (tool !== "dewey_list_known_messages") return server.call(tool, args);
      asked += 1;
      if (asked === 2) throw new DeweyError("conflict", "a fault");
      // It is asked again only about a conversation of which it had something.
      return { ...(await server.call(tool, args)), former: true };
    };
    here.write("one.jsonl", row("one", "first"));
    const watch = watching(here.folder, here.state, { ...server, call });
    await until("the first", () => watch.sent.includes("first"));
    here.write("one.jsonl", row("one", "second"));
    await until("the fault", () => watch.told.length > 0);
    here.write("one.jsonl", row("one", "third"));
    await until("the third", () => watch.sent.includes("third"));
    expect(watch.sent).toEqual(["first", "second", "third"]);
  });

  test("tries again what the server failed to store for a fault of its own, and loses nothing else meanwhile", async () => {
    using here = place();
    const server = recordingServer();
    let faults = 0;
    const call = async (tool: string, args: Json): Promise<Json> => {
      const isPoison = JSON.stringify(args["messages"] ?? []).includes("poison");
      if (tool !== "dewey_import_messages" || !isPoison || faults === 3) return server.call(tool, args);
      faults += 1;
      throw new DeweyError("internal", "a fault");
    };
    here.write("one.jsonl", row("one", "before") + row("one", "poison") + row("one", "behind"));
    here.write("two.jsonl", row("two", "other"));
    const watch = watching(here.folder, here.state, { ...server, call });
    await until("the poison", () => watch.sent.includes("poison"));
    expect(new Set(watch.sent)).toEqual(new Set(["before", "poison", "behind", "other"]));
    expect(watch.told).toEqual([expect.stringContaining("a fault")]);
    // What was refused in the end is not read again.
    const sent = watch.sent.length;
    here.write("two.jsonl", row("two", "later"));
    await until("the later row", () => watch.sent.includes("later"));
    expect(watch.sent).toHaveLength(sent + 1);
  });

  test("leaves out what the server refuses for good", async () => {
    using here = place();
    const server = recordingServer();
    const call = async (tool: string, args: Json): Promise<Json> => {
      if (tool === "dewey_import_messages" && JSON.stringify(args["messages"]).includes("poison"))
        throw new DeweyError("invalid", "no such thing");
      return server.call(tool, args);
    };
    here.write("one.jsonl", row("one", "before") + row("one", "poison") + row("one", "behind"));
    const watch = watching(here.folder, here.state, { ...server, call });
    await until("the row behind", () => watch.sent.includes("behind"));
    here.write("one.jsonl", row("one", "later"));
    await until("the later row", () => watch.sent.includes("later"));
    expect(watch.sent).toEqual(["before", "behind", "later"]);
  });

  test("reads after a restart only what was added meanwhile", async () => {
    using here = place();
    for (const name of ["one", "two", "three"]) here.write(`${name}.jsonl`, row(name, `${name} before`));
    const first = watching(here.folder, here.state);
    await first.settled();
    await first.stop();
    here.write("two.jsonl", row("two", "two after"));
    here.write("four.jsonl", row("four", "four after"));
    const second = watching(here.folder, here.state);
    await second.settled();
    expect(second.sent.toSorted()).toEqual(["four after", "two after"]);
  });

  test("reads a file from its beginning that was truncated, or replaced by another", async () => {
    using here = place();
    here.write("cut.jsonl", row("cut", "before the cut"));
    here.write("swapped.jsonl", row("swapped", "before the swap"));
    const first = watching(here.folder, here.state);
    await first.settled();
    await first.stop();
    truncateSync(here.path("cut.jsonl"));
    here.write("cut.jsonl", row("cut", "after the cut, with more words than there were"));
    // Rotated: the old file goes on under another name.
    renameSync(here.path("swapped.jsonl"), here.path("swapped-1.jsonl"));
    here.write("swapped.jsonl", row("swapped", "after the swap, with more words than there were"));
    const second = watching(here.folder, here.state);
    await second.settled();
    expect(second.sent).toContain("after the cut, with more words than there were");
    expect(second.sent).toContain("after the swap, with more words than there were");
  });

  test("is not stopped by a broken row, a broken link, or a folder that vanishes, and logs each once", async () => {
    using here = place();
    symlinkSync("/nowhere.jsonl", here.path("link.jsonl"));
    here.write("bad.jsonl", `${row("bad", "good one")}{"torn\n`);
    here.write("fine.jsonl", row("fine", "fine"));
    const watch = watching(here.folder, here.state);
    await watch.settled();
    expect(watch.sent.toSorted()).toEqual(["fine", "good one"]);
    expect(watch.told.filter((line) => line.includes("is broken"))).toHaveLength(1);
    here.write("fine.jsonl", row("fine", "still here"));
    await until("more", () => watch.sent.includes("still here"));
  });

  test("forgets what it knew when its state is damaged, and reads everything again", async () => {
    using here = place();
    here.write("one.jsonl", row("one", "kept"));
    writeFileSync(here.state, "this is no database, and longer than a header of one would be ".repeat(4));
    const watch = watching(here.folder, here.state);
    await watch.settled();
    expect(watch.sent).toEqual(["kept"]);
  });

  test("stores the last line of a file that ended without a line end", async () => {
    using here = place();
    here.write("old.jsonl", row("old", "whole") + row("old", "without an end").trimEnd());
    const hourAgo = Date.now() / 1000 - 3600;
    utimesSync(here.path("old.jsonl"), hourAgo, hourAgo);
    const watch = watching(here.folder, here.state);
    await watch.settled();
    expect(watch.sent).toContain("without an end");
  });

  test("stores after a restart what a reader held back when it was stopped, once the file has ended", async () => {
    using here = place();
    const [session, answer] = [
      { sessionId: "s", projectHash: "h", startTime: "2026-11-01T10:00:00.000Z" },
      { id: "a", timestamp: "2026-11-01T10:00:01.000Z", type: "gemini", content: "without tokens yet" },
    ];
    here.write("session-1.jsonl", `${JSON.stringify(session)}\n${JSON.stringify(answer)}\n`);
    const first = watching(here.folder, here.state);
    await first.settled();
    await first.stop();
    expect(first.sent).toEqual([]);
    setSystemTime(Date.now() + 3600_000);
    const second = watching(here.folder, here.state);
    await second.settled();
    expect(second.sent).toEqual(["without tokens yet"]);
    await second.stop();
    const third = watching(here.folder, here.state);
    await third.settled();
    expect(third.sent).toEqual([]);
  });

  test("stores a file of changes as soon as its writer rests, long before it has ended", async () => {
    using here = place();
    const chat = { sessionId: "s", requests: [{ requestId: "r", message: { text: "asked just now" }, response: [] }] };
    here.write("chat.jsonl", `${JSON.stringify({ kind: 0, v: chat })}\n`);
    const sixSecondsAgo = Date.now() / 1000 - 6;
    utimesSync(here.path("chat.jsonl"), sixSecondsAgo, sixSecondsAgo);
    const watch = watching(here.folder, here.state);
    await watch.settled();
    expect(watch.sent).toEqual(["asked just now"]);
  });

  test("follows a folder again that was removed and made again", async () => {
    using here = place();
    here.write("one.jsonl", row("one", "before"));
    const watch = watching(here.folder, here.state);
    await watch.settled();
    const startedMs = performance.now();
    rmSync(here.folder, { recursive: true });
    mkdirSync(here.folder);
    await until("a row in the new folder", () => {
      here.write("two.jsonl", row("two", "at once"));
      return watch.sent.includes("at once");
    });
    rmSync(here.folder, { recursive: true });
    // Long enough to be seen to be gone.
    await Bun.sleep(500);
    await until("a row in the next folder", () => {
      here.write("two.jsonl", row("two", "after"));
      return watch.sent.includes("after");
    });
    // The walk of every minute would find it too.
    expect(performance.now() - startedMs).toBeLessThan(30_000);
  });

  test("reads none of thousands of files that are unchanged", async () => {
    using here = place();
    const hourAgo = Date.now() / 1000 - 3600;
    for (let index = 0; index < 3000; index += 1) {
      const path = here.path(`${index}.jsonl`);
      writeFileSync(path, row(`${index}`, `${index}`));
      utimesSync(path, hourAgo, hourAgo);
    }
    const state = new WatchState(here.state, "ws://localhost");
    for (let index = 0; index < 3000; index += 1) {
      const path = here.path(`${index}.jsonl`);
      const { size, mtimeMs, ino } = statSync(path);
      state.set(path, { bytes: size, modifiedMs: mtimeMs, inode: ino, end: size, number: 1, mark: "", hasEnded: true });
    }
    state.close();
    const watch = watching(here.folder, here.state);
    await watch.settled();
    expect(watch.sent).toEqual([]);
  });
});

describe("the watch over a database", () => {
  /** A database of OpenCode's, open in its client, which writes into the log beside it. */
  function openCode(path: string) {
    const database = new Database(path, { create: true });
    database.run("pragma journal_mode = wal");
    database.run("create table session (id, parent_id, title, directory, version, revert, time_created)");
    database.run("create table message (id, session_id, time_created, data)");
    database.run("create table part (id, message_id, data)");
    return {
      say(session: string, text: string) {
        const id = crypto.randomUUID();
        database.run(
          "insert into session select ?1, null, 't', '/work', '1', null, 1 where ?1 not in (select id from session)",
          [session],
        );
        database.run("insert into message values (?, ?, 1, ?)", [id, session, JSON.stringify({ role: "user" })]);
        database.run("insert into part values (?, ?, ?)", [id, id, JSON.stringify({ type: "text", text })]);
      },
      [Symbol.dispose]: () => database.close(),
    };
  }

  test("stores what its client adds, and reads no session again that has not changed", async () => {
    using here = place();
    const path = here.path("opencode.db");
    using client = openCode(path);
    client.say("ses_1", "first");
    client.say("ses_2", "other");
    const watch = watching(here.folder, here.state, recordingServer(), [here.path("opencode*.db")]);
    await until("the first", () => watch.sent.includes("other"));
    client.say("ses_1", "second");
    await until("the second", () => watch.sent.includes("second"));
    expect(watch.sent.filter((text) => text === "other")).toHaveLength(1);
  });
});
