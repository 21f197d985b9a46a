import { describe, expect, test } from "bun:test";
import { Ledger } from "../../../src/proxy/spool/ledger.ts";
import { RecordBuilder } from "../../../src/proxy/delivery/record.ts";
import type { Delivery, RecordedMessage } from "../../../src/proxy/delivery/record.ts";
import type { Entry, FrameEntry, SessionOpen } from "../../../src/proxy/spool/entry.ts";
import type { RecordMode } from "../../../src/proxy/relay/upstreams.ts";

const session = "01a20e0c-05c2-70dd-b2d9-fcf559451dce";
const START = Date.parse("2026-01-01T00:00:00Z");

const open = (record: RecordMode = "calls"): SessionOpen => ({
  kind: "open",
  session,
  time: START,
  upstream: "tools",
  record,
  wire: "websocket",
  sessionKey: "key",
});

/** A session's entries, one second apart. `>` goes up, `<` goes down. */
function entries(frames: [">" | "<", object | string][], record?: RecordMode): Entry[] {
  const list = frames.map(([way, frame], index): FrameEntry => ({
    kind: "frame",
    session,
    sequence: index + 1,
    direction: way === ">" ? "up" : "down",
    time: START + (index + 1) * 1000,
    frame: typeof frame === "string" ? frame : JSON.stringify({ jsonrpc: "2.0", ...frame }),
  }));
  return [open(record), ...list];
}

function record(list: Entry[], recorder = new RecordBuilder()): Delivery[] {
  return list.flatMap((entry) => recorder.take(entry));
}

const messages = (deliveries: Delivery[]): RecordedMessage[] =>
  deliveries.flatMap((each) => (each.kind === "message" ? [each.message] : []));

const call = (id: unknown, name: string, args?: object) => ({
  id,
  method: "tools/call",
  params: { name, ...(args ? { arguments: args } : {}) },
});
const answer = (id: unknown, ...content: object[]) => ({ id, result: { content } });
const text = (value: string) => ({ type: "text", text: value });

const handshake: [">" | "<", object][] = [
  [
    ">",
    {
      id: 0,
      method: "initialize",
      params: { protocolVersion: "2025-03-26", clientInfo: { name: "clio", version: "2" } },
    },
  ],
  ["<", { id: 0, result: { protocolVersion: "2025-11-25", serverInfo: { name: "s" } } }],
  [">", { method: "notifications/initialized" }],
];

describe("a session's record", () => {
  test("begins without client facts or a key where there are none", () => {
    const { sessionKey: _, ...unnamed } = open();
    const deliveries = record([unnamed, ...entries([[">", call(1, "echo")]]).slice(1)]);
    expect(deliveries[0]).toEqual({
      kind: "begin",
      conversation: session,
      metadata: {
        source: "proxy",
        upstream: "tools",
        transport: "websocket",
        started_at: "2026-01-01T00:00:00.000Z",
      },
    });
    expect(deliveries[0]).not.toHaveProperty("sessionKey");
    expect(messages(deliveries)).toMatchObject([{ role: "user", content: "echo" }]);
  });

  test("states that its beginning is damaged if the opening is missing, and keeps the remaining answers", () => {
    const [, ...rest] = entries([["<", answer(1, text("left"))]]);
    const made = record(rest);
    expect(made[0]).toMatchObject({ kind: "begin", metadata: { upstream: "unknown", transport: "unknown" } });
    expect(messages(made)).toMatchObject([
      { content: "The beginning of what was recorded of this session is damaged." },
      { role: "assistant", content: "left", metadata: { method: "unknown" } },
    ]);
  });

  test("has the answer to a call, but not its facts when ten thousand later calls are still open", () => {
    const calls = Array.from({ length: 10_001 }, (_, id): [">", object] => [">", call(id, `tool ${id}`)]);
    const answers = [0, 1].map((id): ["<", object] => ["<", answer(id, text(`answer ${id}`))]);
    const made = messages(record(entries([...handshake, ...calls, ...answers]))).slice(10_002);
    expect(made).toMatchObject([
      { content: "answer 0", metadata: { method: "unknown" } },
      { content: "answer 1", metadata: { tool: "tool 1" } },
    ]);
    expect(made).toHaveLength(2);
  });

  test("has resources, prompts, elicitation and sampling, with the role of the side that spoke", () => {
    const said = messages(
      record(
        entries([
          [">", { id: 1, method: "resources/read", params: { uri: "a://1" } }],
          ["<", { id: 1, result: { contents: [{ uri: "a://1", text: "read" }] } }],
          [">", { id: 2, method: "prompts/get", params: { name: "p" } }],
          ["<", { id: 2, error: { code: 1, message: "no such prompt" } }],
          ["<", { id: 3, method: "elicitation/create", params: { message: "sure?" } }],
          [">", { id: 3, result: { action: "accept" } }],
          ["<", { id: 4, method: "sampling/createMessage" }],
          [">", { id: 4, error: { code: 1, message: "no" } }],
        ]),
      ),
    );
    expect(said.filter(({ metadata }) => "tool" in metadata)).toEqual([]);
    expect(
      said.map(({ role, metadata }) => [role, metadata["method"], metadata["direction"], metadata["outcome"]]),
    ).toEqual([
      ["user", "resources/read", "up", undefined],
      ["assistant", "resources/read", "down", "success"],
      ["user", "prompts/get", "up", undefined],
      ["tool", "prompts/get", "down", "error"],
      ["system", "elicitation/create", "down", undefined],
      ["user", "elicitation/create", "up", "success"],
      ["system", "sampling/createMessage", "down", undefined],
      ["tool", "sampling/createMessage", "up", "error"],
    ]);
  });

  test("keeps frames of up to 1 MiB in metadata, in mode all only", () => {
    const frame = (characters: number) => `"${"x".repeat(characters - 2)}"`;
    const limit = 1024 * 1024;
    const made = messages(
      record(
        entries(
          [
            [">", frame(limit)],
            [">", frame(limit + 1)],
            [">", ""],
          ],
          "all",
        ),
      ),
    );
    expect(made[0]?.metadata["frame"]).toBe(frame(limit));
    expect(made[1]?.metadata).not.toHaveProperty("frame");
    expect(made[1]?.content).toBe(frame(limit + 1));
    expect(made[2]?.content).toBe("(empty frame)");
    const [asked, answered] = messages(
      record(
        entries(
          [
            [">", call(1, "a")],
            ["<", answer(1)],
          ],
          "all",
        ),
      ),
    );
    expect([asked?.metadata["frame"], answered?.metadata["frame"]]).toEqual([expect.any(String), expect.any(String)]);
    const [plain] = messages(record(entries([[">", call(1, "a")]])));
    expect(plain?.metadata).not.toHaveProperty("frame");
  });

  test("has no negative duration when the clock is set back", () => {
    const list = entries([
      [">", call(1, "a")],
      ["<", answer(1)],
    ]).map((entry, index): Entry => (entry.kind === "frame" && index === 2 ? { ...entry, time: START - 5000 } : entry));
    expect(messages(record(list)).at(-1)?.metadata["duration_ms"]).toBe(0);
  });

  test("has a frame that is nested too deeply as it came, and the frames after it", () => {
    const deep = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":${"[".repeat(20_000)}${"]".repeat(20_000)}}}`;
    expect(
      messages(
        record(
          entries([
            [">", deep],
            [">", call(2, "b")],
          ]),
        ),
      ),
    ).toMatchObject([
      {
        role: "system",
        content: deep,
        metadata: { source: "proxy", upstream: "tools", method: "unknown", direction: "up" },
      },
      { role: "user", content: "b" },
    ]);
  });

  test("has a notification's parameters in mode all", () => {
    const notification = { method: "notifications/progress", params: { progress: 1 } };
    const [progress, nonsense] = messages(
      record(
        entries(
          [
            ["<", notification],
            ["<", "[]"],
          ],
          "all",
        ),
      ),
    );
    expect(progress).toMatchObject({ role: "system", content: "notifications/progress\nprogress: 1" });
    expect(nonsense).toMatchObject({ role: "system", content: "[]", metadata: { method: "invalid" } });
  });

  test("has ids that no later version may change, or repeated deliveries would be stored twice", () => {
    const said = JSON.stringify({ correlation_id: "c", results: [{ model: "m", status: "success", text: "said" }] });
    const batch = JSON.stringify([call(2, "a"), call(3, "b")]);
    const made = record([
      ...entries([
        [">", call(1, "fiedler_send")],
        ["<", answer(1, text(said))],
        [">", batch],
      ]),
      { kind: "gap", session, sequence: 4, time: START, fromTime: START, frames: 1, bytes: 1 },
      { kind: "close", session, sequence: 5, time: START, reason: "bye" },
    ]);
    const ids = made.flatMap((each) => {
      if (each.kind === "message") return [each.message.message_id];
      return each.kind === "result" ? [each.result.result_id] : [];
    });
    expect(ids).toEqual([
      "019b76da-abe8-797b-ac45-1f109d5f3bd5",
      "019b76da-afd0-7d4d-9644-c3898932e730",
      "019b76da-afd0-74cc-af28-eb9d87a45d9c",
      "019b76da-b3b8-7561-9521-2d18385f8201",
      "019b76da-b3b8-7628-93e4-e0a7714f1c4f",
      "019b76da-a800-7065-a5de-c936400f4b47",
      "019b76da-a800-771a-9a64-17d820b27ae8",
      "019b76da-a800-7c2d-97b0-1e4d8e5a0d7f",
    ]);
  });

  test("has answers whose requests are missing only after a gap, and only those with content", () => {
    const gap: Entry = { kind: "gap", session, sequence: 3, time: START, fromTime: START, frames: 1, bytes: 1 };
    const [asked, ...rest] = entries([
      [">", { id: 0, method: "initialize" }],
      [">", call(1, "a")],
      [">", ""],
      ["<", answer(9, text("left"))],
      ["<", { id: 8, result: { contents: [{ uri: "a://1", text: "read" }] } }],
      ["<", { id: 7, error: { code: 1, message: "failed" } }],
      ["<", { id: 6, result: { tools: [] } }],
      ["<", answer(1, text("known"))],
      ["<", answer(1, text("a repetition"))],
    ]);
    const made = (list: (Entry | undefined)[]) => messages(record(list.flatMap((entry) => entry ?? [])));
    expect(
      made([asked, rest[0], rest[1], gap, ...rest.slice(3)])
        .slice(2)
        .map(({ content }) => content),
    ).toEqual(["left", "read", "error 1: failed", "known", "a repetition"]);
    expect(
      made([asked, rest[0], rest[1], ...rest.slice(3)])
        .slice(1)
        .map(({ content }) => content),
    ).toEqual(["known"]);
  });

  test("begins with a call or a gap, whichever comes first, and without either not at all", () => {
    const gap: Entry = { kind: "gap", session, sequence: 1, time: START, fromTime: START, frames: 1, bytes: 1 };
    const close: Entry = { kind: "close", session, sequence: 2, time: START, reason: "bye" };
    const kinds = (list: Entry[]) => record(list).map(({ kind }) => kind);
    expect(kinds([...entries(handshake), { ...close, sequence: 4 }])).toEqual([]);
    expect(kinds([open(), close])).toEqual([]);
    expect(kinds([open(), gap, close])).toEqual(["begin", "message", "end"]);
    expect(kinds([...entries([...handshake, [">", call(1, "a")]])])).toEqual(["begin", "message", "message"]);
  });

  test("has results of the orchestrator's tool only", () => {
    const said = JSON.stringify({ correlation_id: "c", results: [{ model: "m", status: "success", text: "said" }] });
    const made = record(
      entries([
        [">", call(1, "other")],
        ["<", answer(1, text(said))],
      ]),
    );
    expect(made.filter(({ kind }) => kind === "result")).toEqual([]);
  });

  test("is begun again if earlier entries may be missing from the store", () => {
    const ledger = new Ledger();
    const list = entries([...handshake, [">", call(1, "a")], ["<", answer(1, text("x"))]]);
    for (const entry of list.slice(0, 5)) ledger.take(entry);
    const begins = (beginsAnew: boolean) =>
      record([ledger.state(), ...list.slice(5)], new RecordBuilder({ beginsAnew })).filter(
        ({ kind }) => kind === "begin",
      );
    expect(begins(true)).toMatchObject([{ metadata: { client_name: "clio", protocol_version: "2025-11-25" } }]);
    expect(begins(false)).toEqual([]);
  });

  test("begins once, with the client, the upstream and the wire", () => {
    const deliveries = record(entries([...handshake, [">", call(1, "echo")]]));
    expect(deliveries[0]).toEqual({
      kind: "begin",
      conversation: session,
      sessionKey: "key",
      metadata: {
        source: "proxy",
        upstream: "tools",
        transport: "websocket",
        started_at: "2026-01-01T00:00:00.000Z",
        client_name: "clio",
        client_version: "2",
        protocol_version: "2025-11-25",
      },
    });
    expect(messages(deliveries)[0]).toMatchObject({
      role: "system",
      content: "s",
      metadata: { method: "initialize", kind: "introduction", server_name: "s" },
    });
    expect(deliveries.filter((each) => each.kind === "begin")).toHaveLength(1);
  });

  test("has a call as the user's, and its result as the assistant's with the duration", () => {
    const [, asked, answered] = messages(
      record(
        entries([
          ...handshake,
          [">", call(7, "add", { a: 1, note: "two\nlines" })],
          ["<", answer(7, text("3"), text("three"))],
        ]),
      ),
    );
    expect(asked).toMatchObject({
      role: "user",
      content: "add\na: 1\nnote: two\nlines",
      created_at: "2026-01-01T00:00:04.000Z",
    });
    expect(asked?.metadata).toEqual({
      source: "proxy",
      upstream: "tools",
      method: "tools/call",
      tool: "add",
      id: 7,
      direction: "up",
      arguments: { a: 1, note: "two\nlines" },
    });
    expect(answered).toMatchObject({ role: "assistant", content: "3\n\nthree" });
    expect(answered?.metadata).toEqual({
      source: "proxy",
      upstream: "tools",
      method: "tools/call",
      tool: "add",
      id: 7,
      direction: "down",
      outcome: "success",
      duration_ms: 1000,
    });
  });

  test("has failed calls and JSON-RPC errors as the tool's", () => {
    const failed = { id: 1, result: { isError: true, content: [text("no such file")] } };
    const refused = { id: 2, error: { code: -32_602, message: "bad", data: { field: "x" } } };
    const [, first, , second] = messages(
      record(
        entries([
          [">", call(1, "a")],
          ["<", failed],
          [">", call(2, "b")],
          ["<", refused],
        ]),
      ),
    );
    expect(first).toMatchObject({ role: "tool", content: "no such file", metadata: { outcome: "error", tool: "a" } });
    expect(second).toMatchObject({ role: "tool", metadata: { outcome: "error", tool: "b", error_code: -32_602 } });
    expect(second?.content).toContain("error -32602: bad");
    expect(second?.content).toContain('"field"');
  });

  test("distinguishes ids of different types and of the two sides", () => {
    const list = entries([
      [">", call(1, "number")],
      [">", call("1", "text")],
      ["<", { id: 1, method: "sampling/createMessage", params: { maxTokens: 5 } }],
      [">", { id: 1, result: { content: text("sampled") } }],
      ["<", answer("1", text("for text"))],
      ["<", answer(1, text("for number"))],
    ]);
    expect(
      messages(record(list)).map((each) => [each.role, each.metadata["tool"] ?? each.metadata["method"], each.content]),
    ).toEqual([
      ["user", "number", "number"],
      ["user", "text", "text"],
      ["system", "sampling/createMessage", "sampling/createMessage\nmaxTokens: 5"],
      ["user", "sampling/createMessage", "sampled"],
      ["assistant", "text", "for text"],
      ["assistant", "number", "for number"],
    ]);
  });

  test("leaves out lists, pings, progress and invalid frames, except in mode all", () => {
    const frames: [">" | "<", object | string][] = [
      [">", { id: 1, method: "tools/list" }],
      ["<", { id: 1, result: { tools: [] } }],
      ["<", { method: "notifications/progress", params: { progress: 1 } }],
      [">", { id: 2, method: "ping" }],
      ["<", { id: 2, result: {} }],
      [">", "no JSON"],
    ];
    expect(record(entries(frames))).toEqual([]);
    const all = messages(record(entries(frames, "all")));
    expect(all.map((each) => each.metadata["method"])).toEqual([
      "tools/list",
      "tools/list",
      "notifications/progress",
      "ping",
      "ping",
      "invalid",
    ]);
    expect(all[5]).toMatchObject({ content: "no JSON", metadata: { frame: "no JSON" } });
    expect(all.every((each) => each.content !== "")).toBe(true);
  });

  test("has blocks without text by type, size and hash, and never empty content", () => {
    const image = { type: "image", mimeType: "image/png", data: Buffer.from("pixels").toString("base64") };
    const [, withText, , without, , empty] = messages(
      record(
        entries([
          [">", call(1, "a")],
          ["<", answer(1, text("see"), image)],
          [">", call(2, "b")],
          ["<", answer(2, image)],
          [">", call(3, "c")],
          ["<", answer(3)],
        ]),
      ),
    );
    const sha256 = new Bun.CryptoHasher("sha256").update("pixels").digest("hex");
    expect(withText).toMatchObject({
      content: "see",
      metadata: { blocks: [{ type: "image", mimeType: "image/png", bytes: 6, sha256 }] },
    });
    expect(JSON.stringify(withText)).not.toContain(image.data);
    expect(without?.content).toBe("[image]");
    expect(empty?.content).toBe("(no content)");
  });

  test("has large texts once, and complete", () => {
    const long = "l".repeat(100_000);
    const structured = { rows: [long] };
    const [asked, answered] = messages(
      record(
        entries([
          [">", call(1, "a", { long })],
          ["<", { id: 1, result: { content: [text(JSON.stringify(structured))], structuredContent: structured } }],
        ]),
      ),
    );
    expect(asked?.content).toBe(`a\nlong: ${long}`);
    expect(JSON.stringify(asked?.metadata).length).toBeLessThan(1000);
    expect(answered?.content).toBe(JSON.stringify(structured));
    expect(answered?.metadata["structured"]).toBeUndefined();
  });

  test("has requests of any depth, and the frames after them", () => {
    const nested = (depth: number) =>
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"deep","arguments":{"a":${"[".repeat(depth)}${"]".repeat(depth)}}}}`;
    for (const depth of [10, 1000, 20_000, 200_000]) {
      const made = messages(
        record(
          entries([
            [">", nested(depth)],
            [">", call(2, "after")],
          ]),
        ),
      );
      expect(made.map((each) => each.role)).toHaveLength(2);
      expect(made[0]?.content).toContain("[[[[[".repeat(2).slice(0, depth > 64 ? 10 : 1));
      expect(made[0]?.content.length).toBeLessThan(2 * depth + 400);
      expect(made[1]?.content).toBe("after");
    }
  });

  test("has each message of a batch as its own record", () => {
    const list = entries([
      [
        ">",
        JSON.stringify([
          { jsonrpc: "2.0", ...call(1, "a") },
          { jsonrpc: "2.0", ...call(2, "b") },
        ]),
      ],
      [
        "<",
        JSON.stringify([
          { jsonrpc: "2.0", ...answer(2, text("B")) },
          { jsonrpc: "2.0", ...answer(1, text("A")) },
        ]),
      ],
    ]);
    const made = messages(record(list));
    expect(made.map((each) => each.content)).toEqual(["a", "b", "B", "A"]);
    expect(new Set(made.map((each) => each.message_id)).size).toBe(4);
  });

  test("is the same each time it is made from the same entries", () => {
    const list: Entry[] = [
      ...entries([...handshake, [">", call(1, "a")], ["<", answer(1, text("x"))]]),
      { kind: "close", session, sequence: 6, time: START + 9000, reason: "bye" },
    ];
    const first = record(list);
    expect(record(list)).toEqual(first);
    expect(first.at(-1)).toEqual({
      kind: "end",
      conversation: session,
      metadata: { ended_at: "2026-01-01T00:00:09.000Z", end_reason: "bye" },
    });
    for (const { message_id, created_at } of messages(first)) {
      expect(message_id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(Number.parseInt(message_id.replaceAll("-", "").slice(0, 12), 16)).toBe(Date.parse(created_at));
    }
  });

  test("continues from a state without repeating earlier entries", () => {
    const list = entries([...handshake, [">", call(1, "a")], ["<", answer(1, text("x"))]]);
    const ledger = new Ledger();
    for (const entry of list.slice(0, 5)) ledger.take(entry);
    const before = record(list.slice(0, 5));
    const second = new RecordBuilder();
    const state = JSON.parse(JSON.stringify(ledger.state())) as Entry;
    const after = record([state, ...list], second);
    expect([...before, ...after]).toEqual(record(list));
  });

  test("that a dead process left open is closed, with the reason", () => {
    const recorder = new RecordBuilder();
    record(entries([[">", call(1, "a")]]), recorder);
    expect(recorder.abandon()).toMatchObject([
      { kind: "message", message: { content: "(no answer: the proxy ended before the session did)" } },
      { kind: "end", metadata: { end_reason: "the proxy ended before the session did" } },
    ]);
    expect(recorder.abandon()).toEqual([]);
  });

  test("marks a gap", () => {
    const gap: Entry = {
      kind: "gap",
      session,
      sequence: 2,
      time: START + 5000,
      fromTime: START + 2000,
      frames: 3,
      bytes: 99,
    };
    expect(messages(record([...entries([[">", call(1, "a")]]), gap])).at(-1)).toMatchObject({
      role: "system",
      content: "3 frames (99 bytes) were relayed and not recorded here.",
      metadata: {
        source: "proxy",
        event: "gap",
        frames: 3,
        bytes: 99,
        from: "2026-01-01T00:00:02.000Z",
        to: "2026-01-01T00:00:05.000Z",
      },
    });
  });

  test("has an orchestrator's results as separate rows", () => {
    const results = [
      { model: "m1", status: "success", output_file: "/out/1.md", duration: 1.5, tokens: { prompt: 3, completion: 4 } },
      { model: "m2", status: "failed", error: "too slow" },
    ];
    const said = JSON.stringify({ status: "ok", correlation_id: "c-1", results });
    const made = record(
      entries([
        [">", call(1, "fiedler_send", { prompt: "p" })],
        ["<", answer(1, text(said))],
      ]),
    ).flatMap((each) => (each.kind === "result" ? [each.result] : []));
    expect(made).toMatchObject([
      {
        correlation_id: "c-1",
        model: "m1",
        output: "/out/1.md",
        status: "success",
        duration_seconds: 1.5,
        tokens_prompt: 3,
        tokens_completion: 4,
        conversation_id: session,
      },
      {
        correlation_id: "c-1",
        model: "m2",
        output: "too slow",
        status: "error",
        error_message: "too slow",
        conversation_id: session,
      },
    ]);
    expect(new Set(made.map((row) => row.result_id)).size).toBe(2);
    expect(
      record(
        entries([
          [">", call(1, "fiedler_send")],
          ["<", answer(1, text("no JSON"))],
        ]),
      ).some((each) => each.kind === "result"),
    ).toBe(false);
  });
});

test("a call recorded by the client's hooks leaves no message, but its orchestrator results", () => {
  const list = entries([
    ...handshake,
    [">", call(1, "fiedler_send", { prompt: "x" })],
    [
      "<",
      answer(
        1,
        text(
          JSON.stringify({
            status: "success",
            correlation_id: "c",
            results: [{ model: "m", status: "success", output_file: "f" }],
          }),
        ),
      ),
    ],
    [">", call(2, "echo")],
    ["<", answer(2, text("unclaimed"))],
  ]).map((entry, index): Entry => (entry.kind === "frame" && index === 4 ? { ...entry, claimed: true } : entry));
  // The call and its answer may be in different segments.
  const first = record(list.slice(0, 5));
  const ledger = new Ledger();
  for (const entry of list.slice(0, 5)) ledger.take(entry);
  const second = record([ledger.state(), ...list.slice(5)]);
  const said = messages([...first, ...second]).map((message) => message.content);
  expect(said).toEqual(["s", "echo", "unclaimed"]);
  expect(second.filter((each) => each.kind === "result")).toHaveLength(1);
});
