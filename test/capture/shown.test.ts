import { expect, test } from "bun:test";
import { captureIn, jsonLines, sqlite } from "../support/imports.ts";

// What a person read in the client beside the talk that the model got. In each source one text is told by nothing else, and
// is found; others only repeat what a message has already.

interface Case {
  files: Record<string, string | Uint8Array>;
  /** The file that is read, unless it is the only one. */
  name?: string;
  /** Texts that are told once, each in a message of its own or in another's. */
  once: string[];
}

const at = (second: number) => `2025-03-01T10:00:${String(second).padStart(2, "0")}.000Z`;
const ms = Date.parse(at(0));
const session = "aaaaaaaa-0000-4000-8000-000000000001";

const claudeRow = (type: string, content: unknown, more: object = {}) => ({
  type,
  uuid: crypto.randomUUID(),
  sessionId: session,
  timestamp: at(1),
  message: { role: type, content },
  ...more,
});
const claudeResult = (content: string, toolUseResult: unknown) =>
  claudeRow("user", [{ type: "tool_result", tool_use_id: crypto.randomUUID(), content }], { toolUseResult });

const geminiCall = (id: string, output: string, resultDisplay: unknown) => ({
  id,
  name: "run",
  args: {},
  result: [{ functionResponse: { id, name: "run", response: { output } } }],
  resultDisplay,
});
const geminiChat = {
  sessionId: "s",
  projectHash: "p",
  startTime: at(0),
  lastUpdated: at(1),
  messages: [
    {
      id: "1",
      type: "gemini",
      timestamp: at(1),
      content: "ok",
      toolCalls: [
        geminiCall("a", "short LYNX", "long OCELOT"),
        geminiCall("b", "the same MARGAY", "the same MARGAY"),
        geminiCall("c", "PUMA changed", { fileDiff: "+KODKOD", fileName: "a.ts", newContent: "KODKOD" }),
      ],
    },
  ],
};

const qwenRow = (type: string, parts: object[], more: object = {}) => ({
  type,
  uuid: crypto.randomUUID(),
  sessionId: session,
  timestamp: at(1),
  message: { role: "user", parts },
  ...more,
});

const copilotResult = (content: string, detailedContent: string) => ({
  type: "tool.execution_complete",
  id: crypto.randomUUID(),
  timestamp: at(1),
  data: { toolCallId: crypto.randomUUID(), success: true, result: { content, detailedContent } },
});

const say = (second: number, kind: string, text: string) => ({ ts: ms + second * 1000, type: "say", say: kind, text });

const clineMessage = (role: string, text: string) => ({ role, content: [{ type: "text", text }], ts: ms });

const openCodeTool = (id: string, state: object) => ({ id, type: "tool", tool: "bash", callID: id, state });

const cases: Record<string, Case> = {
  "Claude Code": {
    files: {
      "t.jsonl": jsonLines(
        claudeResult("LYNX\n… cut …", { stdout: "LYNX\nOCELOT", stderr: "" }),
        claudeResult("MARGAY\n\nPUMA", { stdout: "MARGAY", stderr: "PUMA" }),
        claudeResult("KODKOD failed", "Error: KODKOD failed"),
        claudeResult("", { stdout: Buffer.alloc(3000).toString("base64"), isImage: true }),
      ),
    },
    once: ["OCELOT", "MARGAY", "PUMA", "KODKOD"],
  },
  "Claude Code on the web": {
    files: {
      "web.json": JSON.stringify({
        loglines: [{ type: "user", timestamp: at(1), message: { role: "user", content: "about LYNX" } }],
      }),
    },
    once: ["LYNX"],
  },
  "Gemini CLI": {
    files: { "chats/session-1.json": JSON.stringify(geminiChat) },
    once: ["LYNX", "OCELOT", "MARGAY", "PUMA"],
  },
  "Qwen Code": {
    files: {
      "q.jsonl": jsonLines(
        qwenRow("user", [{ text: "go" }]),
        qwenRow("tool_result", [{ functionResponse: { id: "f", name: "r", response: { output: "LYNX" } } }], {
          toolCallResult: { callId: "f", resultDisplay: "OCELOT" },
        }),
        qwenRow("tool_result", [{ functionResponse: { id: "g", name: "r", response: { output: "MARGAY" } } }], {
          toolCallResult: { callId: "g", resultDisplay: "MARGAY" },
        }),
      ),
    },
    once: ["LYNX", "OCELOT", "MARGAY"],
  },
  "Copilot CLI": {
    files: {
      "session-state/s/events.jsonl": jsonLines(copilotResult("LYNX", "OCELOT"), copilotResult("MARGAY", "MARGAY"), {
        type: "user.message",
        id: "u",
        timestamp: at(2),
        data: { content: "look", attachments: [{ type: "selection", filePath: "/PUMA.ts", text: "KODKOD" }] },
      }),
    },
    once: ["LYNX", "OCELOT", "MARGAY", "PUMA", "KODKOD"],
  },
  Cline: {
    files: {
      "tasks/1/ui_messages.json": JSON.stringify([
        say(0, "text", "look at LYNX"),
        say(1, "api_req_started", JSON.stringify({ request: "NOISE", streamingFailedMessage: "OCELOT" })),
        say(2, "task_progress", "- [ ] feed MARGAY"),
        say(3, "hook_output", "PUMA"),
      ]),
    },
    name: "tasks/1/ui_messages.json",
    once: ["LYNX", "OCELOT", "MARGAY", "PUMA"],
  },
  "Cline's command line": {
    files: {
      "x/x.messages.json": JSON.stringify({
        version: 1,
        sessionId: "x",
        messages: [clineMessage("user", "look at LYNX"), clineMessage("assistant", "OCELOT")],
      }),
      "x/x.compaction.json": JSON.stringify({
        messages: [clineMessage("user", "summary of MARGAY"), clineMessage("assistant", "OCELOT")],
      }),
    },
    name: "x/x.messages.json",
    once: ["LYNX", "OCELOT", "MARGAY"],
  },
  OpenCode: {
    files: {
      "e.json": JSON.stringify({
        info: { id: "ses_1", title: "t", time: { created: ms } },
        messages: [
          {
            info: { id: "msg_1", role: "user", time: { created: ms }, summary: { title: "about OCELOT" } },
            parts: [{ id: "prt_1", type: "text", text: "look at LYNX" }],
          },
          {
            info: { id: "msg_2", role: "assistant", time: { created: ms } },
            parts: [
              openCodeTool("prt_2", { status: "running", input: {}, metadata: { output: "MARGAY" } }),
              openCodeTool("prt_3", { status: "error", input: {}, error: "PUMA", metadata: { output: "KODKOD" } }),
              openCodeTool("prt_4", {
                status: "completed",
                input: {},
                output: "SERVAL",
                metadata: { output: "SERVAL" },
              }),
              { id: "prt_5", type: "retry", attempt: 1, error: { data: { message: "CARACAL" } } },
            ],
          },
        ],
      }),
    },
    once: ["LYNX", "OCELOT", "MARGAY", "PUMA", "KODKOD", "SERVAL", "CARACAL"],
  },
  Pi: {
    files: {
      "s.jsonl": jsonLines(
        { type: "session", version: 3, id: session, timestamp: at(0), cwd: "/x" },
        { type: "message", id: "a", parentId: null, timestamp: at(1), message: { role: "user", content: "LYNX" } },
        { type: "label", id: "b", parentId: "a", timestamp: at(2), targetId: "a", label: "OCELOT" },
      ),
    },
    once: ["LYNX", "OCELOT"],
  },
  Goose: {
    files: {
      "g.jsonl": jsonLines(
        { working_dir: "/x", description: "", message_count: 1 },
        {
          role: "user",
          created: ms / 1000,
          content: [
            {
              type: "toolResponse",
              id: "a",
              toolResult: { status: "success", value: { content: [], structuredContent: { cat: "LYNX" } } },
            },
            {
              type: "toolResponse",
              id: "b",
              toolResult: {
                status: "success",
                value: { content: [{ type: "text", text: "OCELOT" }], structuredContent: { cat: "OCELOT" } },
              },
            },
          ],
        },
      ),
    },
    once: ["LYNX", "OCELOT"],
  },
  Amp: {
    files: {
      "T-01a211db-4eb8-76bf-8bf6-5867dd2e1c33.json": JSON.stringify({
        v: 1,
        id: "T-01a211db-4eb8-76bf-8bf6-5867dd2e1c33",
        created: ms,
        messages: [
          { role: "user", messageId: 0, content: [{ type: "text", text: "LYNX" }] },
          { role: "info", messageId: 1, content: [{ type: "manual_bash_invocation", args: { cmd: "OCELOT" } }] },
        ],
        queuedMessages: [{ id: "q", queuedMessage: { role: "user", content: [{ type: "text", text: "MARGAY" }] } }],
      }),
    },
    once: ["LYNX", "OCELOT", "MARGAY"],
  },
  Zed: {
    files: {
      "threads.db": sqlite({
        threads: [
          {
            id: "t",
            summary: "s",
            updated_at: at(1),
            data_type: "json",
            data: JSON.stringify({
              messages: [{ User: { id: "u", content: [{ Text: "LYNX" }] } }],
              detailed_summary: "OCELOT",
            }),
          },
        ],
      }),
    },
    once: ["LYNX", "OCELOT"],
  },
  Cursor: {
    files: {
      "state.vscdb": sqlite({
        cursorDiskKV: [
          { key: "composerData:c", value: JSON.stringify({ fullConversationHeadersOnly: [{ bubbleId: "b" }] }) },
          {
            key: "bubbleId:c:b",
            value: JSON.stringify({
              type: 1,
              text: "LYNX",
              context: {
                fileSelections: [{ uri: { fsPath: "/x/OCELOT.ts" } }],
                selections: [{ uri: { path: "/x/MARGAY.ts" }, text: "PUMA" }],
              },
            }),
          },
        ],
      }),
    },
    once: ["LYNX", "OCELOT", "MARGAY", "PUMA"],
  },
};

for (const [source, { files, name = Object.keys(files)[0] ?? "", once }] of Object.entries(cases))
  test(`every text that a person read in ${source} is told, and once`, async () => {
    const captured = (await captureIn(files, name)) ?? [];
    const texts = captured.flatMap((each) => {
      if (each.kind !== "message") return [];
      const { kind, bookkeeping } = each.message.metadata ?? {};
      // Search finds summaries, though they are no talk.
      return bookkeeping === true && kind !== "summary" ? [] : [each.message.content];
    });
    const counts = Object.fromEntries(once.map((word) => [word, texts.join("\n").split(word).length - 1]));
    expect(counts).toEqual(Object.fromEntries(once.map((word) => [word, 1])));
    expect(texts.join("\n")).not.toContain("NOISE");
  });
