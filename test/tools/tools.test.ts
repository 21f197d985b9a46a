import { describe, expect, test } from "bun:test";
import { z } from "zod";
import type { Store } from "../../src/store/store.ts";
import { defineTool } from "../../src/tools/tool.ts";
import { callTool, tools } from "../../src/tools/tools.ts";
import { failure } from "../support/failure.ts";

const author = { session: "s", client_name: null, client_version: null };
// The tools of this file never touch the store.
const store = {} as Store;

const annotations = { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false } as const;
const echo = defineTool({
  name: "echo",
  title: "Echo",
  description: "Returns its arguments.",
  input: z
    .strictObject({
      text: z.string().optional(),
      list: z.array(z.strictObject({ role: z.string() })).optional(),
      count: z.number().default(1),
    })
    .refine(({ text }) => text !== "both", "should not hold both"),
  output: z.object({ given: z.unknown(), author: z.unknown(), aborted: z.boolean() }),
  annotations,
  handle: (_, given, by, signal) => Promise.resolve({ given, author: by, aborted: signal.aborted }),
});

const call = (args: unknown, signal = new AbortController().signal) => callTool(echo, store, args, author, signal);
const refused = async (args: unknown) => {
  const { code, field, message } = await failure(call(args));
  return [code, field, message];
};

describe("a call of a tool", () => {
  test("passes parsed arguments, the author and the caller's signal to the handler", async () => {
    expect(await call({ text: "a" })).toEqual({ given: { text: "a", count: 1 }, author, aborted: false });
    expect(await call(undefined, AbortSignal.abort())).toEqual({ given: { count: 1 }, author, aborted: true });
  });

  test("with wrong arguments is refused with the first wrong field and the remedy", async () => {
    expect(await refused({ text: 1 })).toEqual(["invalid", "text", "text should be a string, not number"]);
    expect(await refused({ list: [{ role: "a" }, {}] })).toEqual([
      "invalid",
      "list[1].role",
      "list[1].role is missing; it should be a string",
    ]);
    const misspelt = await refused({ list: [{ role: "a", rule: "b" }] });
    expect(misspelt.slice(0, 2)).toEqual(["invalid", "list[0].rule"]);
    expect(await refused({ texts: "a" })).toEqual([
      "invalid",
      "texts",
      "there is no field texts; leave it out, or correct its name",
    ]);
    expect((await refused("text")).slice(0, 2)).toEqual(["invalid", "arguments"]);
    expect(await refused({ text: "both" })).toEqual(["invalid", "arguments", "arguments should not hold both"]);
  });
});

describe("the tools", () => {
  test("are named, described and annotated, and take no unknown field", () => {
    expect(tools.size).toBeGreaterThan(10);
    for (const [name, tool] of tools) {
      expect([name, tool.name]).toEqual([name, name]);
      expect(name).toMatch(/^dewey_[a-z_]+$/);
      expect(tool.description.length).toBeGreaterThan(20);
      const { readOnlyHint, destructiveHint, idempotentHint } = tool.annotations;
      // A tool that only reads can neither destroy nor add.
      if (readOnlyHint) expect([destructiveHint, idempotentHint]).toEqual([false, true]);
      expect(tool.input.safeParse({ no_such_field: 1 }).error?.issues.map(({ code }) => code as string)).toContain(
        "unrecognized_keys",
      );
    }
  });

  test("that read are those that read, and those that destroy delete or replace", () => {
    const named = (hint: "readOnlyHint" | "destructiveHint") =>
      [...tools.values()].filter(({ annotations: hints }) => hints[hint]).map(({ name }) => name);
    expect(named("destructiveHint").toSorted()).toEqual([
      "dewey_delete_conversation",
      "dewey_delete_startup_context",
      "dewey_set_startup_context",
      "dewey_tie_startup_context",
    ]);
    for (const name of named("readOnlyHint"))
      expect(name).toMatch(/_(get|list|search|stats|new|identify|last_sessions|startup_context_history)/);
    expect([...tools.values()].filter(({ alwaysLoaded }) => alwaysLoaded).map(({ name }) => name)).toEqual([
      "dewey_search",
    ]);
  });

  const issue = (name: string, args: object): unknown[] => {
    const [first] = tools.get(name)?.input.safeParse(args).error?.issues ?? [];
    return first === undefined ? [] : [first.path.join("."), first.message];
  };
  const id = "0190f5fe-7d3c-7a10-8f00-0123456789ab";

  test("bulk takes a new conversation's fields only for a new conversation, and turn numbers for all or none", () => {
    const message = { role: "user", content: "x" };
    const bulk = (args: object) => issue("dewey_store_messages_bulk", { messages: [message], ...args });
    expect([bulk({}), bulk({ conversation_id: id }), bulk({ session_id: "s", metadata: {} })]).toEqual([[], [], []]);
    const forNew = "is for a new conversation; omit it with conversation_id";
    expect(bulk({ conversation_id: id, session_id: "s" })).toEqual(["session_id", forNew]);
    expect(bulk({ conversation_id: id, metadata: {} })).toEqual(["metadata", forNew]);
    const numbered = (...turns: (number | undefined)[]) =>
      bulk({
        messages: turns.map((turn_number) => ({ ...message, ...(turn_number === undefined ? {} : { turn_number }) })),
      });
    expect([numbered(2, 1), numbered(undefined, undefined)]).toEqual([[], []]);
    const wrong = ["messages", "should all have different turn_numbers, or all none"];
    expect([numbered(1, undefined), numbered(1, 1)]).toEqual([wrong, wrong]);
    expect(bulk({ messages: [] })).toEqual(["messages", "should contain at least one message"]);
    const many = (count: number) => bulk({ messages: Array.from({ length: count }, () => message) });
    expect([many(10_000), many(10_001)]).toEqual([[], ["messages", "should contain at most 10000 messages"]]);
  });

  test("search takes a period that does not end before it starts, and up to 5 turns of context", () => {
    const search = (args: object) => issue("dewey_search", { query: "x", ...args });
    expect(search({ start_date: "2026-01-31", end_date: "2026-01-31", context: 5 })).toEqual([]);
    expect(search({ start_date: "2026-02-01", end_date: "2026-01-31" })).toEqual([
      "start_date",
      "should not be after end_date",
    ]);
    expect([search({ start_date: "2026-02-01" }), search({ end_date: "2026-01-31" })]).toEqual([[], []]);
    expect([search({ context: 6 }), search({ context: -1 })]).toEqual([
      ["context", "should be from 0 to 5"],
      ["context", "should be from 0 to 5"],
    ]);
    expect(search({ query: "" })).toEqual(["query", "should not be empty"]);
  });

  test("stats takes 1 to 366 days and a time zone by name", () => {
    const stats = (args: object) => issue("dewey_stats", args);
    expect([stats({}), stats({ days: 366, time_zone: "Europe/Berlin" }), stats({ time_zone: "UTC" })]).toEqual([
      [],
      [],
      [],
    ]);
    expect([stats({ days: 0 }), stats({ days: 367 })]).toEqual([
      ["days", "should be from 1 to 366"],
      ["days", "should be from 1 to 366"],
    ]);
    for (const time_zone of ["+02:00", "", "Europe/Atlantis"])
      expect(stats({ time_zone })).toEqual(["time_zone", "should be a time zone such as Europe/Berlin"]);
  });

  test("have defaults that change nothing by surprise", () => {
    const parsed = (name: string, args: object) => tools.get(name)?.input.parse(args);
    const messages = [{ role: "user", content: "x" }];
    expect(parsed("dewey_store_messages_bulk", { messages })).toEqual({ messages, skip_known: false });
    expect(parsed("dewey_delete_conversation", { conversation_id: id })).toEqual({ conversation_id: id, force: false });
    expect(parsed("dewey_delete_startup_context", { name: "a" })).toEqual({ name: "a", force: false });
    expect(parsed("dewey_set_startup_context", { name: "a", content: "b" })).toMatchObject({ set_active: true });
    expect(parsed("dewey_list_startup_contexts", {})).toEqual({ include_content: false });
    expect(parsed("dewey_list_conversations", {})).toEqual({ limit: 20, offset: 0, sort_by: "updated_at" });
    expect(parsed("dewey_stats", {})).toEqual({ days: 30, time_zone: "UTC" });
  });

  test("results take durations from 0 to 1e9 seconds", () => {
    const result = (duration_seconds: number) =>
      issue("dewey_store_fiedler_result", { correlation_id: "c", model: "m", output: "o", duration_seconds });
    expect([result(0), result(1e9)]).toEqual([[], []]);
    expect(result(-0.1)).toEqual(["duration_seconds", "should be 0 or more"]);
    expect(result(1.1e9)).toEqual(["duration_seconds", "should be at most 1e9"]);
  });
});
