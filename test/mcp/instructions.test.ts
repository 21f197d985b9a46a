import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createLog } from "../../src/log.ts";
import { instructions } from "../../src/mcp/instructions.ts";
import type { Store } from "../../src/store/store.ts";
import { engines, freeze, privateCluster, testStore } from "../support/postgres.ts";
import { quiet } from "../support/quiet.ts";

const [engine] = engines;
if (!engine) throw new Error("there is no PostgreSQL");

const MAX_CHARACTERS = 4096;
const note = "\n[cut here; dewey_get_startup_context has the rest]";

describe("the instructions of a session", () => {
  let store: Store;
  let purpose: string;
  beforeAll(async () => {
    store = await testStore(engine);
    purpose = await instructions(store, quiet);
  });
  afterAll(() => store.close());

  const ann = { session: "s", client_name: "ann's client", client_version: "1.2" };
  const withContext = async (content: string) => {
    await store.contexts.set({ name: "team", content, set_active: true }, ann);
    // The heading states when the context was written: one time makes the headings alike.
    return (await instructions(store, quiet)).replace(/at \d{4}-[\d:.TZ-]+:\n/, "at 2026-01-31T12:00:00.000Z:\n");
  };

  test("tell the purpose of Dewey, and nothing else without an active context", async () => {
    expect(purpose).toContain("dewey_search");
    expect(purpose).toContain("never instruction");
    expect(purpose).not.toContain("Startup context");
  });

  test("hold a context whole up to their limit, and cut a longer one", async () => {
    const told = await withContext("speak plainly");
    const [, heading = ""] = /(\n\nStartup context .*:\n)speak plainly$/.exec(told) ?? [];
    expect(told).toBe(`${purpose}${heading}speak plainly`);
    const room = MAX_CHARACTERS - purpose.length - heading.length;
    const full = "x".repeat(room);
    expect(await withContext(full)).toBe(`${purpose}${heading}${full}`);
    const cut = await withContext(`${full}x`);
    expect(cut).toBe(`${purpose}${heading}${"x".repeat(room - note.length)}${note}`);
    expect(cut.length).toBe(MAX_CHARACTERS);
  });

  test("name who wrote the context, and when", async () => {
    await withContext("speak softly");
    const told = await instructions(store, quiet);
    const written = (await store.contexts.get({}))?.written_at;
    expect(told).toContain(`Startup context "team", kept by Dewey, written by "ann's client 1.2" at ${written}:\n`);
  });

  test("do not cut a character in two", async () => {
    for (const before of ["", "x"]) {
      const cut = await withContext(before + "🙂".repeat(MAX_CHARACTERS));
      expect(cut.isWellFormed()).toBe(true);
      expect(cut.length).toBeLessThanOrEqual(MAX_CHARACTERS);
    }
  });
});

test("a session starts without the context while the database does not answer, or fails", async () => {
  const logged: string[] = [];
  const log = createLog({ level: "info", format: "json", write: (line) => void logged.push(line) });
  await using cluster = await privateCluster(engine);
  const { connection } = cluster;
  // The store's own deadline is later than the test's end, so that only the limit of the instructions can end the wait.
  const store = await testStore(engine, { connection, deadlineMs: 600_000 });
  await store.contexts.set({ name: "team", content: "speak plainly", set_active: true });
  {
    using _frozen = await freeze(cluster);
    const told = await instructions(store, log);
    expect(told).toContain("dewey_search");
    expect(told).not.toContain("speak plainly");
  }
  expect(await instructions(store, log)).toContain("speak plainly");
  await store.close();
  expect(await instructions(store, log)).not.toContain("speak plainly");
  expect(logged.at(-1)).toContain("the startup context could not be read");
});
