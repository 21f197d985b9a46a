import { describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ImportMemory } from "../../src/capture/import-memory.ts";
import type { ImportedFile } from "../../src/capture/import-memory.ts";
import { piecesOf, sourcesIn } from "../../src/capture/sources.ts";
import { DeweyError } from "../../src/errors.ts";
import type { Json } from "../../src/wire/frame.ts";
import { temporaryHome } from "../support/home.ts";

const account = { rows: 3, messages: 2, broken: 1, unknown: { novelty: 1 }, faults: [] };
/** A time at which files have been at rest for long. */
const LONG_AGO = new Date("2026-01-01T00:00:00Z");

/** A store that remembers files, and a folder of them. */
function place() {
  const home = temporaryHome();
  const files = new Map<string, Json>();
  const call = (tool: string, args: Json): Promise<Json> => {
    const given = args["files"] as (Json & string)[];
    if (tool === "dewey_note_imported_files") for (const each of given) files.set(String(each["file"]), each);
    return Promise.resolve({ files: given.flatMap((each) => files.get(each) ?? []) });
  };
  return {
    files,
    call,
    file(name: string, text: string) {
      const path = join(home.path, name);
      writeFileSync(path, text);
      utimesSync(path, LONG_AGO, LONG_AGO);
      return path;
    },
    /** What a later import is told of a file. */
    async recalled(path: string) {
      const memory = new ImportMemory(call);
      await memory.ask([path]);
      const look = await memory.look(path);
      return look && (await memory.recall(look));
    },
    async imported(path: string, more: Partial<ImportedFile> = {}, meanwhile = () => {}) {
      const memory = new ImportMemory(call);
      const look = await memory.look(path);
      meanwhile();
      if (look)
        await memory.remember([{ look, account, begun: ["a"], conversations: ["a", "b"], consulted: [], ...more }]);
    },
    [Symbol.dispose]: () => home[Symbol.dispose](),
  };
}

/** What the reader of a file says that it has looked at besides. */
async function consulted(path: string): Promise<readonly string[] | undefined> {
  for await (const source of sourcesIn(path)) {
    const pieces = piecesOf(source);
    let next = await pieces.next();
    while (!next.done) next = await pieces.next();
    if (next.value !== false) return next.value.consulted;
  }
  throw new Error("no kind of source knows the file");
}

describe("a reader", () => {
  test("names the files that it has consulted, and names none where it may depend on more", async () => {
    using home = temporaryHome();
    const session = crypto.randomUUID();
    const row = (more: object) =>
      `${JSON.stringify({ type: "user", uuid: crypto.randomUUID(), sessionId: session, cwd: "/x", timestamp: "2026-01-01T00:00:00Z", message: { content: "a" }, ...more })}\n`;
    const own = join(home.path, `${session}.jsonl`);
    const agent = join(home.path, session, "subagents/agent-a1.jsonl");
    mkdirSync(dirname(agent), { recursive: true });
    writeFileSync(own, row({}));
    writeFileSync(agent, row({ agentId: "a1", isSidechain: true }));
    expect(await consulted(own)).toEqual([]);
    expect(await consulted(agent)).toEqual(expect.arrayContaining([agent.replace(".jsonl", ".meta.json"), own]));
    const history = join(home.path, "history.jsonl");
    writeFileSync(history, `${JSON.stringify({ display: "a", project: "/x", timestamp: 1, sessionId: session })}\n`);
    expect(await consulted(history)).toBeUndefined();
  });
});

describe("the memory of an import", () => {
  test("knows a file that is unchanged, with what it held", async () => {
    using here = place();
    const path = here.file("one.jsonl", "1\n2\n");
    expect(await here.recalled(path)).toBeUndefined();
    await here.imported(path);
    expect(await here.recalled(path)).toMatchObject({ account, begun: ["a"] });
    expect([...here.files.values()]).toMatchObject([{ conversations: ["a", "b"] }]);
  });

  test("takes a file for another one that has another byte, more, less, another time or another path", async () => {
    using here = place();
    const path = here.file("one.jsonl", "1\n2\n");
    await here.imported(path);
    const { size, ino } = statSync(path);
    here.file("one.jsonl", "1\n3\n");
    expect(statSync(path)).toMatchObject({ size, ino, mtime: LONG_AGO });
    expect(await here.recalled(path)).toBeUndefined();
    for (const text of ["1\n2\n3\n", "1\n", ""]) {
      here.file("one.jsonl", text);
      expect(await here.recalled(path)).toBeUndefined();
    }
    here.file("one.jsonl", "1\n2\n");
    expect(await here.recalled(path)).toBeDefined();
    expect(await here.recalled(here.file("two.jsonl", "1\n2\n"))).toBeUndefined();
    utimesSync(path, LONG_AGO, new Date("2026-01-02T00:00:00Z"));
    expect(await here.recalled(path)).toBeUndefined();
  });

  test("takes a file for another one when one that it consults has changed, come or gone", async () => {
    using here = place();
    const path = here.file("agent.jsonl", "1\n");
    const beside = here.file("session.jsonl", "2\n");
    const missing = `${path}.missing`;
    await here.imported(path, { consulted: [beside, missing] });
    expect(await here.recalled(path)).toBeDefined();
    here.file("agent.jsonl.missing", "");
    expect(await here.recalled(path)).toBeUndefined();
    await here.imported(path, { consulted: [beside, missing] });
    expect(await here.recalled(path)).toBeDefined();
    appendFileSync(beside, "3\n");
    expect(await here.recalled(path)).toBeUndefined();
  });

  test("notes no file that grew while it was read, or whose consulted files may have", async () => {
    using here = place();
    const path = here.file("one.jsonl", "1\n");
    await here.imported(path, {}, () => appendFileSync(path, "2\n"));
    expect(here.files.size).toBe(0);
    const fresh = here.file("fresh.jsonl", "1\n");
    utimesSync(fresh, new Date(), new Date());
    await here.imported(path, { consulted: [fresh] });
    expect(here.files.size).toBe(0);
  });

  test("knows nothing of a file that was noted in another shape", async () => {
    using here = place();
    const path = here.file("one.jsonl", "1\n");
    await here.imported(path);
    for (const [name, file] of here.files) here.files.set(name, { ...file, told: { account, begun: "a" } });
    expect(await here.recalled(path)).toBeUndefined();
  });

  test("is given up with a server that has none, and fails with one that is away", async () => {
    using here = place();
    const path = here.file("one.jsonl", "1\n");
    let calls = 0;
    const failing = (code: "invalid" | "unavailable") =>
      new ImportMemory(() => {
        calls += 1;
        return Promise.reject(new DeweyError(code, "no such tool"));
      });
    const older = failing("invalid");
    await older.ask([path]);
    await older.ask([path]);
    expect(await older.look(path)).toBeUndefined();
    expect(calls).toBe(1);
    expect(failing("unavailable").ask([path])).rejects.toThrow("no such tool");
  });
});
