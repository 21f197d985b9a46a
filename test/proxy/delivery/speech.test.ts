import { describe, expect, test } from "bun:test";
import { RecordBuilder } from "../../../src/proxy/delivery/record.ts";
import type { Delivery, RecordedMessage } from "../../../src/proxy/delivery/record.ts";
import type { Entry, FrameEntry } from "../../../src/proxy/spool/entry.ts";
import { Ledger } from "../../../src/proxy/spool/ledger.ts";
import { outlineFrame } from "../../../src/wire/outline.ts";

const session = "01a20e0c-05c2-70dd-b2d9-fcf559451dce";
const START = Date.parse("2026-01-01T00:00:00Z");

type Way = ">" | "<";
/** A frame, and the HTTP request to which it belongs where that matters. */
type Frame = [Way, object | string, number?];

/** A session's entries, one second apart, with its end. `>` goes up, `<` goes down. */
function entriesOf(frames: Frame[]): Entry[] {
  const list = frames.map(([way, frame, exchange], index): FrameEntry => {
    const entry: FrameEntry = {
      kind: "frame",
      session,
      sequence: index + 1,
      direction: way === ">" ? "up" : "down",
      time: START + (index + 1) * 1000,
      frame: typeof frame === "string" ? frame : JSON.stringify({ jsonrpc: "2.0", ...frame }),
    };
    return exchange === undefined ? entry : { ...entry, exchange };
  });
  return [
    { kind: "open", session, time: START, upstream: "tools", record: "calls", wire: "http" },
    ...list,
    { kind: "close", session, sequence: list.length + 1, time: START + 100_000, reason: "the client has left" },
  ];
}

/**
 * The deliveries of a session. They are also made through a state at every position, written by a ledger that sees the
 * relay's outlines of the frames: a segment of the spool may begin anywhere.
 */
function recorded(frames: Frame[]): Delivery[] {
  const entries = entriesOf(frames);
  const whole = new RecordBuilder();
  const made = entries.map((entry) => whole.take(entry));
  for (let at = 1; at < entries.length; at++) {
    const writer = new Ledger();
    for (const entry of entries.slice(0, at)) {
      writer.take(entry, entry.kind === "frame" ? outlineFrame(entry.frame) : undefined);
    }
    const reader = new RecordBuilder();
    reader.take(JSON.parse(JSON.stringify(writer.state())) as Entry);
    expect(entries.slice(at).map((entry) => reader.take(entry))).toEqual(made.slice(at));
  }
  return made.flat();
}

const messagesOf = (deliveries: Delivery[]): RecordedMessage[] =>
  deliveries.flatMap((each) => (each.kind === "message" ? [each.message] : []));
const said = (frames: Frame[]): RecordedMessage[] => messagesOf(recorded(frames));
const contents = (messages: RecordedMessage[]) => messages.map(({ role, content }) => [role, content]);

const call = (id: unknown, name: string, more: object = {}) => ({
  id,
  method: "tools/call",
  params: { name, arguments: { a: 1 }, ...more },
});
const answer = (id: unknown, ...texts: string[]) => ({
  id,
  result: { content: texts.map((text) => ({ type: "text", text })) },
});
const initialize = {
  id: 0,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", clientInfo: { name: "clio", version: "2" } },
};
const initialized = {
  id: 0,
  result: {
    protocolVersion: "2025-11-25",
    serverInfo: { name: "files", title: "Files", version: "3" },
    instructions: `Read before you write. ${"long ".repeat(500)}`,
  },
};

describe("the beginning of a session", () => {
  test("is the server's introduction, once something is called", () => {
    const frames: Frame[] = [
      [">", initialize],
      ["<", initialized],
      [">", { method: "notifications/initialized" }],
      [">", { id: 1, method: "tools/list" }],
      ["<", { id: 1, result: { tools: [] } }],
    ];
    expect(recorded(frames)).toEqual([]);
    const [introduction, called] = said([...frames, [">", call(2, "read")]]);
    expect(introduction).toMatchObject({
      role: "system",
      content: `Files 3\n\n${initialized.result.instructions}`,
      created_at: "2026-01-01T00:00:02.000Z",
      metadata: { method: "initialize", kind: "introduction", server_name: "files", server_version: "3" },
    });
    expect(called).toMatchObject({ role: "user", content: "read\na: 1" });
  });

  test("has the folder that the client has named, and its roots", () => {
    const made = recorded([
      [">", initialize],
      ["<", { id: 9, method: "roots/list" }],
      [">", { id: 9, result: { roots: [{ uri: "https://a" }, { uri: "file:///home/a%20b", name: "home" }] } }],
      [">", call(1, "read")],
    ]);
    expect(made[0]).toMatchObject({ kind: "begin", metadata: { cwd: "/home/a b" } });
    expect(contents(messagesOf(made)).slice(0, 2)).toEqual([
      ["system", "roots/list"],
      ["user", "https://a\nfile:///home/a%20b (home)"],
    ]);
  });

  test("has the client's name from `_meta` where there is no handshake, and does not repeat it", () => {
    const _meta = {
      "io.modelcontextprotocol/clientInfo": { name: "new", version: "9" },
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientCapabilities": {},
      "x/trace": "t",
    };
    const made = recorded([[">", call(1, "read", { _meta })]]);
    expect(made[0]).toMatchObject({
      metadata: { client_name: "new", client_version: "9", protocol_version: "2026-07-28" },
    });
    expect(messagesOf(made)[0]?.metadata["meta"]).toEqual({ "x/trace": "t" });
  });
});

describe("the end of a session", () => {
  test("is metadata of its conversation, with the reason", () => {
    expect(
      recorded([
        [">", call(1, "a")],
        ["<", answer(1, "b")],
      ]).at(-1),
    ).toEqual({
      kind: "end",
      conversation: session,
      metadata: { ended_at: "2026-01-01T00:01:40.000Z", end_reason: "the client has left" },
    });
  });

  test("names the calls that were never answered, and only those", () => {
    const messages = said([
      [">", call(1, "answered")],
      [">", call(2, "silent")],
      [">", { id: 3, method: "tools/list" }],
      ["<", { id: "q", method: "elicitation/create", params: { message: "sure?" } }],
      ["<", answer(1, "yes")],
    ]);
    expect(messages.slice(4)).toMatchObject([
      {
        role: "tool",
        content: "(no answer: the client has left)",
        metadata: {
          method: "tools/call",
          tool: "silent",
          outcome: "unanswered",
          duration_ms: 98_000,
          call: messages[1]?.message_id,
        },
      },
      { metadata: { method: "elicitation/create", outcome: "unanswered", call: messages[2]?.message_id } },
    ]);
    expect(messages).toHaveLength(6);
  });
});

describe("a person's answer", () => {
  test("has the action and every field, of any type", () => {
    const content = { name: "Ada", age: 36, sure: false, tags: ["a", "b"], none: null, nested: { deep: 1 } };
    const [, , accepted] = said([
      [">", call(1, "book")],
      ["<", { id: 1, method: "elicitation/create", params: { message: "who?", requestedSchema: {} } }],
      [">", { id: 1, result: { action: "accept", content } }],
    ]);
    expect(accepted).toMatchObject({
      role: "user",
      metadata: { action: "accept", answer: content, outcome: "success" },
    });
    expect(accepted?.content).toBe(
      'accept\nname: Ada\nage: 36\nsure: false\ntags: [\n "a",\n "b"\n]\nnone: null\nnested: {\n "deep": 1\n}',
    );
  });

  test("may be a refusal", () => {
    for (const action of ["decline", "cancel"])
      expect(
        contents(
          said([
            [">", call(1, "book")],
            ["<", { id: 1, method: "elicitation/create", params: { mode: "url", url: "https://a.example" } }],
            [">", { id: 1, result: { action } }],
            ["<", { method: "notifications/elicitation/complete", params: { elicitationId: "e" } }],
          ]),
        ).slice(1, 4),
      ).toEqual([
        ["system", "elicitation/create\nmode: url\nurl: https://a.example"],
        ["user", action],
        ["system", "notifications/elicitation/complete\nelicitationId: e"],
      ]);
  });
});

describe("a model's turn", () => {
  test("has what the server gave it, and its answer with the model and why it stopped", () => {
    const image = { type: "image", mimeType: "image/png", data: Buffer.from("pixels").toString("base64") };
    const messages = said([
      [">", call(1, "ask")],
      [
        "<",
        {
          id: 5,
          method: "sampling/createMessage",
          params: {
            systemPrompt: "Be brief.",
            messages: [
              { role: "user", content: { type: "text", text: "What is it?" } },
              { role: "assistant", content: [{ type: "tool_use", name: "look", input: { at: 1 } }] },
              { role: "user", content: [{ type: "tool_result", content: [{ type: "text", text: "a cat" }] }] },
              { role: "user", content: image },
            ],
          },
        },
      ],
      [
        ">",
        {
          id: 5,
          result: { role: "assistant", model: "m-1", stopReason: "endTurn", content: { type: "text", text: "A cat." } },
        },
      ],
    ]);
    expect(messages[1]?.content).toBe(
      'sampling/createMessage\nsystemPrompt: Be brief.\nmessages: \nuser: What is it?\nassistant: look\n{\n "at": 1\n}\nuser: a cat\nuser: [image]',
    );
    expect(messages[1]?.metadata["blocks"]).toMatchObject([{ type: "image", mimeType: "image/png", bytes: 6 }]);
    expect(JSON.stringify(messages[1]?.content)).not.toContain(image.data);
    expect(messages[2]).toMatchObject({
      role: "user",
      content: "A cat.",
      metadata: { model: "m-1", stop_reason: "endTurn" },
    });
  });
});

describe("a cancelled call", () => {
  const frames: Frame[] = [
    [">", call(7, "slow")],
    [">", call("7", "other")],
    [">", { method: "notifications/cancelled", params: { requestId: 7, reason: "took too long" } }],
  ];

  test("has the reason, and is no unanswered one", () => {
    const messages = said(frames);
    expect(messages[2]).toMatchObject({
      role: "user",
      content: "cancelled: took too long",
      metadata: {
        tool: "slow",
        kind: "cancellation",
        outcome: "cancelled",
        duration_ms: 2000,
        call: messages[0]?.message_id,
      },
    });
    expect(messages.slice(3)).toMatchObject([{ metadata: { tool: "other", outcome: "unanswered" } }]);
  });

  test("may still be answered, which does not count it twice", () => {
    const late = said([...frames, ["<", answer(7, "late")]])[3];
    expect(late).toMatchObject({ content: "late", metadata: { tool: "slow", after_cancellation: true } });
    expect(late?.metadata).not.toHaveProperty("outcome");
  });

  test("is one that the session has, of the side that cancels", () => {
    const cancelled = { method: "notifications/cancelled", params: { requestId: 1 } };
    expect(
      said([
        [">", { id: 1, method: "tools/list" }],
        [">", cancelled],
        ["<", cancelled],
      ]),
    ).toEqual([]);
    const messages = said([
      [">", call(1, "mine")],
      ["<", { id: 1, method: "elicitation/create" }],
      ["<", cancelled],
    ]);
    expect(messages[2]).toMatchObject({
      role: "system",
      content: "cancelled",
      metadata: { call: messages[1]?.message_id },
    });
    expect(messages[3]).toMatchObject({ metadata: { tool: "mine", outcome: "unanswered" } });
  });
});

describe("a task", () => {
  const task = (status: string, more: object = {}) => ({ taskId: "t1", status, ttl: 60_000, ...more });

  test("has its statuses when they change, and its result, tied to the call that made it", () => {
    const messages = said([
      [">", call(1, "build", { task: { ttl: 60_000 }, _meta: { progressToken: "p" } })],
      ["<", { id: 1, result: { task: task("working") } }],
      [">", { id: 2, method: "tasks/get", params: { taskId: "t1" } }],
      ["<", { id: 2, result: task("working") }],
      ["<", { method: "notifications/progress", params: { progressToken: "p", progress: 1, message: "half" } }],
      ["<", { method: "notifications/tasks/status", params: task("working", { statusMessage: "linking" }) }],
      [">", { id: 3, method: "tasks/get", params: { taskId: "t1" } }],
      ["<", { id: 3, result: task("working", { statusMessage: "linking" }) }],
      [">", { id: 4, method: "tasks/result", params: { taskId: "t1" } }],
      ["<", { ...answer(4, "built") }],
      [">", { id: 5, method: "tasks/result", params: { taskId: "t1" } }],
      ["<", { ...answer(5, "built") }],
    ]);
    expect(contents(messages)).toEqual([
      ["user", "build\na: 1"],
      ["system", "task working"],
      ["system", "half"],
      ["system", "task working: linking"],
      ["assistant", "built"],
    ]);
    const [called, ...course] = messages;
    for (const each of course)
      expect(each.metadata).toMatchObject({ tool: "build", task_id: "t1", call: called?.message_id });
    expect(messages.filter(({ metadata }) => "outcome" in metadata)).toHaveLength(1);
    expect(messages[4]?.metadata).toMatchObject({ method: "tools/call", outcome: "success", duration_ms: 9000 });
  });

  test("is cancelled, or never finished", () => {
    const begun: Frame[] = [
      [">", call(1, "build", { task: {} })],
      ["<", { id: 1, result: { task: task("working") } }],
    ];
    const messages = said([
      ...begun,
      [">", { id: 2, method: "tasks/cancel", params: { taskId: "t1" } }],
      ["<", { id: 2, result: task("cancelled") }],
    ]);
    expect(contents(messages).slice(2)).toEqual([
      ["user", "tasks/cancel\ntaskId: t1"],
      ["system", "task cancelled"],
    ]);
    expect(messages[2]?.metadata).toMatchObject({ tool: "build", call: messages[0]?.message_id });
    expect(said(begun)[2]).toMatchObject({
      content: "(no answer: the client has left)",
      metadata: { tool: "build", task_id: "t1", outcome: "unanswered" },
    });
  });

  test("of the extension has its questions, its input and the result in its status", () => {
    const messages = said([
      [">", call(1, "build")],
      ["<", { id: 1, result: { resultType: "task", ...task("working") } }],
      [">", { id: 2, method: "tasks/get", params: { taskId: "t1" } }],
      [
        "<",
        {
          id: 2,
          result: {
            resultType: "complete",
            ...task("input_required", {
              inputRequests: { name: { method: "elicitation/create", params: { message: "who?" } } },
            }),
          },
        },
      ],
      [
        ">",
        {
          id: 3,
          method: "tasks/update",
          params: { taskId: "t1", inputResponses: { name: { action: "accept", content: { who: "Ada" } } } },
        },
      ],
      ["<", { id: 3, result: { resultType: "complete" } }],
      [">", { id: 4, method: "tasks/get", params: { taskId: "t1" } }],
      ["<", { id: 4, result: { ...task("completed"), result: answer(0, "built").result } }],
    ]);
    expect(contents(messages)).toEqual([
      ["user", "build\na: 1"],
      ["system", "task working"],
      ["system", "task input_required\n\nname: elicitation/create\nmessage: who?"],
      ["user", "name: accept\nwho: Ada"],
      ["assistant", "built"],
    ]);
    for (const each of messages.slice(1))
      expect(each.metadata).toMatchObject({ task_id: "t1", call: messages[0]?.message_id });
  });

  test("that fails has its error, and one of another session what is said here", () => {
    const failed = said([
      [">", call(1, "build")],
      ["<", { id: 1, result: { resultType: "task", ...task("working") } }],
      ["<", { method: "notifications/tasks", params: { ...task("failed"), error: { code: -5, message: "no disk" } } }],
    ]);
    expect(failed[2]).toMatchObject({
      role: "tool",
      content: "error -5: no disk",
      metadata: { tool: "build", outcome: "error" },
    });
    const other = said([
      [">", { id: 1, method: "tasks/get", params: { taskId: "t1" } }],
      ["<", { id: 1, result: task("working") }],
      [">", { id: 2, method: "tasks/result", params: { taskId: "t1" } }],
      ["<", answer(2, "built elsewhere")],
    ]);
    expect(contents(other)).toEqual([
      ["system", "task working"],
      ["assistant", "built elsewhere"],
    ]);
  });
});

describe("a call with rounds of input", () => {
  const asks = (id: number, state: string | undefined, message: string) => ({
    id,
    result: {
      resultType: "input_required",
      inputRequests: { who: { method: "elicitation/create", params: { message } } },
      ...(state === undefined ? {} : { requestState: state }),
    },
  });
  const gives = (who: string, requestState?: string) => ({
    inputResponses: { who: { action: "accept", content: { who } } },
    ...(requestState === undefined ? {} : { requestState }),
  });
  // Longer than the strings that the relay's view of a frame has.
  const state = (name: string) => `${name}${"s".repeat(3000)}`;

  test("is one call, with its questions and answers in between", () => {
    const messages = said([
      [">", call(1, "book"), 1],
      ["<", asks(1, state("one"), "who?"), 1],
      [">", call(1, "book", gives("Ada", state("one"))), 2],
      ["<", asks(1, state("two"), "sure?"), 2],
      [">", call(1, "book", gives("yes", state("two"))), 3],
      ["<", answer(1, "booked"), 3],
    ]);
    expect(contents(messages)).toEqual([
      ["user", "book\na: 1"],
      ["system", "who: elicitation/create\nmessage: who?"],
      ["user", "who: accept\nwho: Ada"],
      ["system", "who: elicitation/create\nmessage: sure?"],
      ["user", "who: accept\nwho: yes"],
      ["assistant", "booked"],
    ]);
    expect(messages.slice(1).map(({ metadata }) => [metadata["kind"], metadata["round"]])).toEqual([
      ["input_request", 1],
      ["continuation", 1],
      ["input_request", 2],
      ["continuation", 2],
      [undefined, 2],
    ]);
    for (const each of messages.slice(1))
      expect(each.metadata).toMatchObject({ tool: "book", call: messages[0]?.message_id });
    expect(messages.filter(({ metadata }) => "outcome" in metadata)).toHaveLength(1);
    expect(messages[5]?.metadata["duration_ms"]).toBe(5000);
    expect(JSON.stringify(messages)).not.toContain("sssss");
  });

  test("is not confused with another one, and needs no state", () => {
    const messages = said([
      [">", call(1, "book")],
      [">", call(2, "book")],
      ["<", asks(1, state("first"), "who?")],
      ["<", asks(2, state("second"), "who?")],
      [">", call(3, "book", gives("Bea", state("second")))],
      [">", call(4, "book", gives("Ada", state("first")))],
      ["<", asks(3, undefined, "sure?")],
      [">", call(5, "book", gives("yes"))],
      ["<", answer(5, "booked")],
    ]);
    const [first, second] = messages;
    expect(messages.map(({ metadata }) => metadata["call"])).toEqual([
      undefined,
      undefined,
      first?.message_id,
      second?.message_id,
      second?.message_id,
      first?.message_id,
      second?.message_id,
      second?.message_id,
      second?.message_id,
      first?.message_id,
    ]);
    expect(messages[9]?.metadata["outcome"]).toBe("unanswered");
  });

  test("that nothing was given to is an unanswered one", () => {
    expect(
      said([
        [">", call(1, "book")],
        ["<", asks(1, "s", "who?")],
      ])[2],
    ).toMatchObject({ metadata: { tool: "book", round: 1, outcome: "unanswered" } });
  });
});

describe("what is said beside calls", () => {
  test("is recorded: logs, progress with a text, and what was read", () => {
    const messages = said([
      ["<", { method: "notifications/message", params: { level: "info", logger: "db", data: "connected" } }],
      [">", call(1, "index", { _meta: { progressToken: 5 } })],
      ["<", { method: "notifications/progress", params: { progressToken: 5, progress: 1 } }],
      [
        "<",
        { method: "notifications/progress", params: { progressToken: 5, progress: 2, total: 9, message: "page 2" } },
      ],
      ["<", { method: "notifications/message", params: { level: "debug", data: { rows: 2 } } }],
      ["<", { method: "notifications/resources/updated", params: { uri: "a://1" } }],
      [
        ">",
        {
          id: 2,
          method: "completion/complete",
          params: { ref: { type: "ref/prompt", name: "p" }, argument: { name: "a", value: "A" } },
        },
      ],
      ["<", { id: 2, result: { completion: { values: ["Ada", "Alan"] } } }],
      ["<", { id: 1, error: { code: -1, message: "broke", data: { at: "page 3" } } }],
    ]);
    expect(contents(messages)).toEqual([
      ["system", "connected"],
      ["user", "index\na: 1"],
      ["system", "page 2"],
      ["system", '{\n "rows": 2\n}'],
      ["system", "notifications/resources/updated\nuri: a://1"],
      ["user", expect.stringContaining("completion/complete")],
      ["assistant", "Ada\nAlan"],
      ["tool", 'error -1: broke\n{\n "at": "page 3"\n}'],
    ]);
    expect(messages[0]?.metadata).toMatchObject({ level: "info", logger: "db" });
    expect(messages[2]?.metadata).toMatchObject({
      tool: "index",
      progress: 2,
      total: 9,
      call: messages[1]?.message_id,
    });
    expect(messages.map(({ metadata }) => metadata["bookkeeping"] === true)).toEqual([
      false,
      false,
      false,
      true,
      true,
      true,
      true,
      false,
    ]);
  });

  test("is recorded in batches too", () => {
    const batch = (...list: object[]) => JSON.stringify(list.map((each) => ({ jsonrpc: "2.0", ...each })));
    expect(
      contents(
        said([
          [">", batch(call(1, "a"), call(2, "b"))],
          [">", batch({ method: "notifications/cancelled", params: { requestId: 2, reason: "no" } })],
          ["<", batch({ method: "notifications/message", params: { level: "error", data: "bad" } }, answer(1, "A"))],
        ]),
      ),
    ).toEqual([
      ["user", "a\na: 1"],
      ["user", "b\na: 1"],
      ["user", "cancelled: no"],
      ["system", "bad"],
      ["assistant", "A"],
    ]);
  });
});

describe("unusual frames", () => {
  test("with ids of any type are recorded, and their answers", () => {
    const ids = [
      "1",
      '"1"',
      "null",
      "true",
      "1.5",
      "-0",
      "9007199254740993",
      "1e400",
      '""',
      `"${"x".repeat(5000)}"`,
      '"\\ud800"',
    ];
    const messages = said(
      ids.flatMap((id): Frame[] => [
        [">", `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"t","arguments":{}}}`],
        ["<", `{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"answer"}]}}`],
      ]),
    );
    expect(messages.map(({ content }) => content)).toEqual(ids.flatMap(() => ["t", "answer"]));
    expect(messages.map(({ metadata }) => metadata["tool"])).toEqual(ids.flatMap(() => ["t", "t"]));
    expect(JSON.stringify(messages)).toContain('"id":9007199254740993');
    expect(JSON.stringify(messages)).not.toContain("xxxx");
  });

  test("such as answers without their requests after a reconnect are recorded", () => {
    expect(contents(said([["<", answer(5, "from before")]]))).toEqual([["assistant", "from before"]]);
    expect(
      said([
        [">", "{"],
        ["<", { id: null, error: { code: -32_700, message: "Parse error" } }],
      ]),
    ).toEqual([]);
  });

  test("of 50 MB are recorded, with their text", () => {
    const text = "Ten words of an answer that is very long indeed.\n".repeat(1_000_000);
    const entries = entriesOf([
      [">", call(1, "read")],
      ["<", answer(1, text)],
    ]);
    const recorder = new RecordBuilder();
    const began = performance.now();
    const made = messagesOf(entries.flatMap((entry) => recorder.take(entry)));
    expect(performance.now() - began).toBeLessThan(60_000);
    expect(made[1]?.content === text).toBe(true);
  });

  test("with broken UTF-8 and lone surrogates are recorded", () => {
    const broken = Buffer.from(
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\xff\xfe","arguments":{}}}',
      "latin1",
    );
    const [called, surrogate] = said([
      [">", broken.toString()],
      [">", '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"a","arguments":{"v":"\\ud800 \\u0000"}}}'],
    ]);
    expect(called?.content).toBe("\uFFFD\uFFFD");
    expect(surrogate?.content).toBe("a\nv: \ud800 \0");
  });
});
