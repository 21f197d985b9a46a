import { describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Deliverer } from "../../src/capture/deliverer.ts";
import { HookQueue } from "../../src/capture/hook-queue.ts";
import { Importer } from "../../src/capture/importer.ts";
import { piecesOf, sourcesIn } from "../../src/capture/sources.ts";
import { DeweyError } from "../../src/errors.ts";
import { hashedUuid } from "../../src/uuid.ts";
import { temporaryHome } from "../support/home.ts";
import { fileListener } from "../support/listener.ts";
import { quiet } from "../support/quiet.ts";
import { until } from "../support/rpc.ts";

// The hook events and the transcripts of one talk, as Claude Code 2.1.197 made them.
const recorded = (path: string) =>
  readFileSync(join(import.meta.dir, "recorded", path), "utf8")
    .trim()
    .split("\n");
const recordedSession = "971be6d3-ff25-495f-81bd-2d36c20f730a";
const agentPath = "subagents/agent-a66551e7e85801901";
type Event = Record<string, unknown>;

const served = fileListener();

/** A session of its own with the recorded talk in it: what the client writes, and the events that it sends. */
function talk() {
  const home = temporaryHome();
  const session: string = crypto.randomUUID();
  const transcript = join(home.path, `${session}.jsonl`);
  const agentTranscript = join(home.path, session, `${agentPath}.jsonl`);
  // Ids of rows and prompts are unique everywhere: rows with those of another session would be copies of its rows.
  const ours = (text: string) =>
    text
      .replaceAll(/\/home\/ada\/\.claude\/projects\/-home-ada-project/g, home.path)
      .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (id) =>
        id === recordedSession ? session : hashedUuid(`${session} ${id}`),
      );
  const queue = new HookQueue(join(home.path, "hooks"));
  return {
    home,
    session,
    transcript,
    queue,
    rows: recorded(`${recordedSession}.jsonl`).map(ours),
    events: recorded("events.jsonl").map((line) => JSON.parse(ours(line)) as Event),
    write: (rows: string[]) => appendFileSync(transcript, rows.map((row) => `${row}\n`).join("")),
    writeAgent() {
      mkdirSync(dirname(agentTranscript), { recursive: true });
      writeFileSync(agentTranscript, `${recorded(`${recordedSession}/${agentPath}.jsonl`).map(ours).join("\n")}\n`);
      const facts = recorded(`${recordedSession}/${agentPath}.meta.json`).join("\n");
      writeFileSync(agentTranscript.replace(".jsonl", ".meta.json"), facts);
    },
    [Symbol.dispose]: () => home[Symbol.dispose](),
  };
}

function deliverer(queue: HookQueue, options: Partial<ConstructorParameters<typeof Deliverer>[0]> = {}) {
  const call = (tool: string, args: Event) => served.client.call(tool, args);
  return new Deliverer({
    queue,
    call,
    log: quiet,
    idleMs: 300,
    patienceMs: 60_000,
    stopping: new AbortController().signal,
    ...options,
  });
}

interface Message {
  role: string;
  content: string;
  metadata: Event;
}

async function read(conversation_id: string): Promise<Message[]> {
  try {
    return (await served.client.call("dewey_get_conversation", { conversation_id, full: true }))[
      "messages"
    ] as Message[];
  } catch {
    return [];
  }
}
const spoken = (messages: Message[]) =>
  messages
    .filter((message) => message.role !== "system")
    .map((message) => [message.role, message.content.split("\n")[0]]);
const whole = [
  ["user", "please use echo"],
  ["assistant", "I will call echo."],
  ["assistant", "mcp__everything__echo"],
  ["tool", "hello"],
  ["assistant", "Now bash."],
  ["assistant", "Bash"],
  ["tool", "from-bash"],
  ["assistant", "Agent"],
  ["tool", "Sub agent says hi."],
  ["assistant", "Bash"],
  ["tool", "Exit code 3"],
  ["assistant", "All done, the echo said hello."],
];

describe("what hooks have left", () => {
  test("becomes the session's conversation, in the order of its transcript, once each, with what only hooks know", async () => {
    using told = talk();
    told.write(told.rows);
    told.writeAgent();
    for (const event of told.events) told.queue.put(event);
    await deliverer(told.queue).run();
    const messages = await read(told.session);
    expect(spoken(messages)).toEqual(whole);
    expect(messages.find((message) => message.content === "from-bash")?.metadata).toMatchObject({
      tool: "Bash",
      // The hook's own; the transcript's times are 356 ms apart.
      duration_ms: 173,
      cwd: "/home/ada/project",
      branch: "feature/x",
      client_version: "2.1.197",
    });
    const listed = await served.client.call("dewey_list_conversations", { session_id: told.session });
    const conversations = listed["conversations"] as { id: string; metadata: Event }[];
    const agent = conversations.find((each) => each.id !== told.session);
    expect(agent?.metadata).toMatchObject({ parent_conversation_id: told.session, parent_tool_use_id: "toolu_task1" });
    expect(spoken(await read(agent?.id ?? ""))).toEqual([
      ["user", "SUBAGENT say hi"],
      ["assistant", "Sub agent says hi."],
    ]);
    expect(told.queue.waiting()).toEqual([]);

    // A second deliverer that knows nothing of the first, and an import, find all of it there.
    for (const event of told.events) told.queue.put(event);
    await deliverer(told.queue).run();
    const importer = new Importer({ call: (tool, args) => served.client.call(tool, args), onRefused: () => {} });
    for await (const source of sourcesIn(told.transcript))
      for await (const piece of piecesOf(source))
        for (const each of piece.captured) await importer.take(each, { source: "", row: piece.number });
    await importer.flush();
    expect(importer.refused).toBe(0);
    expect(importer.counts).toMatchObject({ stored: 0, versions: 0, notes: 0, known: messages.length });
    expect(await read(told.session)).toEqual(messages);
  });

  test("ends with a prompt that still waited in the client's queue when the session ended", async () => {
    using told = talk();
    const enqueued = {
      type: "queue-operation",
      operation: "enqueue",
      content: "and then the docs",
      sessionId: told.session,
    };
    told.write([...told.rows, JSON.stringify({ ...enqueued, timestamp: "2026-11-01T10:00:00.000Z" })]);
    const event = { session_id: told.session, transcript_path: told.transcript };
    told.queue.put({ ...event, hook_event_name: "Stop" });
    await deliverer(told.queue).run();
    expect(spoken(await read(told.session)).at(-1)).toEqual(whole.at(-1));
    told.queue.put({ ...event, hook_event_name: "SessionEnd" });
    await deliverer(told.queue).run();
    expect(spoken(await read(told.session)).at(-1)).toEqual(["user", "and then the docs"]);
  });

  test("is kept in order when the client writes its transcript later than it runs its hooks", async () => {
    using told = talk();
    const work = deliverer(told.queue, { idleMs: 1000 }).run();
    const [prompt, ...rest] = told.events.filter((event) => event["hook_event_name"] !== "SessionStart");
    told.queue.put(prompt ?? {});
    await Bun.sleep(150);
    told.write(told.rows.slice(0, 4));
    await until("the prompt", async () => (await read(told.session)).length > 0);
    for (const event of rest) told.queue.put(event);
    await Bun.sleep(150);
    told.write(told.rows.slice(4));
    told.writeAgent();
    await work;
    expect(spoken(await read(told.session))).toEqual(whole);
  });

  test("is taken from the events where there is no transcript, and not again when it comes after all", async () => {
    using told = talk();
    for (const event of told.events)
      told.queue.put({ ...event, transcript_path: undefined, agent_transcript_path: undefined });
    await deliverer(told.queue).run();
    const fromHooks = whole.filter(([, text]) => text !== "I will call echo." && text !== "Now bash.");
    expect(spoken(await read(told.session))).toEqual(fromHooks);
    told.write(told.rows);
    told.queue.put(told.events.at(-1) ?? {});
    await deliverer(told.queue).run();
    const messages = spoken(await read(told.session));
    const sorted = (list: unknown[]) => list.map((each) => JSON.stringify(each)).toSorted();
    expect(sorted(messages)).toEqual(sorted(whole));
  });

  test("waits while the server is away, and is given up for the next deliverer after a while, losing nothing", async () => {
    using told = talk();
    told.write(told.rows);
    told.writeAgent();
    for (const event of told.events) told.queue.put(event);
    const away = () => Promise.reject(new DeweyError("unavailable", "away"));
    const before = told.queue.waiting().length;
    expect(deliverer(told.queue, { call: away, patienceMs: 200 }).run()).rejects.toMatchObject({ code: "unavailable" });
    await until("the end of patience", () => told.queue.waiting().length === before);
    let failures = 3;
    await deliverer(told.queue, {
      call: (tool, args) => (failures-- > 0 ? away() : served.client.call(tool, args)),
    }).run();
    expect(spoken(await read(told.session))).toEqual(whole);
  });

  test("stays and is tried again when the server fails to store it for a fault of its own, and stops nothing else", async () => {
    using told = talk();
    using other = talk();
    const prompt = (of: typeof told) =>
      of.events.find((event) => event["hook_event_name"] === "UserPromptSubmit") ?? {};
    told.write(told.rows);
    told.writeAgent();
    other.write(other.rows);
    for (const event of told.events) told.queue.put(event);
    told.queue.put({ ...prompt(told), session_id: other.session, transcript_path: other.transcript });
    let faults = 0;
    let isOtherThere = false;
    const call = async (tool: string, args: Event) => {
      const isPoison = JSON.stringify(args["messages"] ?? []).includes("Now bash.");
      if (tool !== "dewey_import_messages" || args["conversation_id"] !== told.session || !isPoison || faults === 5)
        return served.client.call(tool, args);
      faults += 1;
      isOtherThere ||= (await read(other.session)).length > 0;
      throw new DeweyError("internal", "a fault");
    };
    await deliverer(told.queue, { call, idleMs: 1000 }).run();
    expect(faults).toBe(5);
    expect(isOtherThere).toBe(true);
    const contents = spoken(await read(told.session)).map(String);
    expect(contents.toSorted()).toEqual(whole.map(String).toSorted());
    expect(told.queue.waiting()).toEqual([]);
    expect(readdirSync(join(told.home.path, "hooks")).filter((name) => name.endsWith(".refused"))).toEqual([]);
  });

  test("without a transcript stays too when the server fails, and is left to the next deliverer in the end", async () => {
    using told = talk();
    const prompt = told.events.find((event) => event["hook_event_name"] === "UserPromptSubmit") ?? {};
    told.queue.put({ ...prompt, transcript_path: undefined });
    const fails = (tool: string, args: Event) =>
      tool === "dewey_import_messages"
        ? Promise.reject(new DeweyError("internal", "a fault"))
        : served.client.call(tool, args);
    await deliverer(told.queue, { call: fails, patienceMs: 1000 }).run();
    expect(told.queue.waiting()).toHaveLength(1);
    await deliverer(told.queue).run();
    expect(told.queue.waiting()).toEqual([]);
    expect(spoken(await read(told.session))).toEqual([["user", "please use echo"]]);
  });

  test("is left to the next deliverer when this one is stopped while it waits for the transcript", async () => {
    using told = talk();
    const stopping = new AbortController();
    told.queue.put(told.events.find((event) => event["hook_event_name"] === "UserPromptSubmit") ?? {});
    const { queue } = told;
    const read = queue.read.bind(queue);
    let reads = 0;
    queue.read = (name) => {
      reads += 1;
      // The first is the look for durations, the second begins the delivery.
      if (reads === 2) stopping.abort();
      return read(name);
    };
    const sent: string[] = [];
    const call = (tool: string) => Promise.resolve({ tool: sent.push(tool) });
    await deliverer(queue, { call, stopping: stopping.signal }).run();
    expect(sent).toEqual([]);
    expect(queue.waiting()).toHaveLength(1);
  });

  test("that has waited for long enough is not waited with again for its transcript", async () => {
    using told = talk();
    const prompt = told.events.find((event) => event["hook_event_name"] === "UserPromptSubmit") ?? {};
    const folder = join(told.home.path, "hooks");
    mkdirSync(folder);
    const time = new Date(Date.now() - 60_000).toISOString();
    for (const index of [1, 2, 3]) {
      const event = { ...prompt, prompt_id: crypto.randomUUID() };
      writeFileSync(join(folder, `${index}.event`), JSON.stringify({ time, client: "claude-code", event }));
    }
    const startedMs = performance.now();
    const call = () => Promise.resolve({ stored: 1, known: 0 });
    await deliverer(told.queue, { call }).run();
    expect(told.queue.waiting()).toEqual([]);
    // A new event is waited with for ten seconds.
    expect(performance.now() - startedMs).toBeLessThan(10_000);
  });

  test("and is no event, or none of a session, is put aside and stops nothing", async () => {
    using told = talk();
    const folder = join(told.home.path, "hooks");
    told.queue.put({ hook_event_name: "Stop" });
    writeFileSync(join(folder, "0.event"), "torn {");
    told.write(told.rows);
    told.writeAgent();
    for (const event of told.events) told.queue.put(event);
    await deliverer(told.queue).run();
    expect(spoken(await read(told.session))).toEqual(whole);
    expect(readdirSync(folder).filter((name) => name.endsWith(".refused"))).toHaveLength(2);
    expect(told.queue.waiting()).toEqual([]);
  });

  test("of Dewey's own tools keeps its words out of what is searched", async () => {
    using told = talk();
    told.queue.put({
      session_id: told.session,
      hook_event_name: "PostToolUse",
      tool_name: "mcp__dewey__dewey_search",
      tool_use_id: "toolu_own",
      tool_input: { query: "xylophone" },
      tool_response: [{ type: "text", text: "a xylophone" }],
      duration_ms: 3,
    });
    await deliverer(told.queue).run();
    const messages = await read(told.session);
    expect(messages.map((message) => message.content)).toEqual([
      "mcp__dewey__dewey_search",
      "(11 characters of Dewey's own)",
    ]);
    expect(JSON.stringify(messages.map((message) => message.metadata))).toContain("a xylophone");
    expect((await served.client.call("dewey_search", { query: "xylophone" }))["total"]).toBe(0);
  });
});
