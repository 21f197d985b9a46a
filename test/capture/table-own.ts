import type { Form } from "./table-items.ts";

const PICTURE = "iVBORw0KGgo".padEnd(400, "A1b2C3d4");
const lines = (...rows: object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
const at = (second: number) => `2026-01-02T10:00:${String(second).padStart(2, "0")}.000Z`;
const id = (number: number) => `70000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

const claudeRow = (number: number, above: number | null, type: string, content: unknown) => ({
  type,
  uuid: id(number),
  parentUuid: above === null ? null : id(above),
  promptId: type === "user" ? id(100 + number) : undefined,
  sessionId: id(1000),
  cwd: "/work",
  timestamp: at(number),
  message: { role: type, content },
});
const picture = { type: "image", source: { type: "base64", media_type: "image/png", data: PICTURE } };

const codexRow = (second: number, payload: object, type = "response_item") => ({
  timestamp: at(second),
  type,
  payload,
});

const node = (name: string, parent: string | null, children: string[], role: string, content: object) => ({
  id: name,
  parent,
  children,
  message: { author: { role }, create_time: 1_767_348_000, content, metadata: {} },
});
const parts = (...texts: unknown[]) => ({ content_type: "text", parts: texts });

const qwenRow = (number: number, type: string, ...content: object[]) => ({
  uuid: id(number),
  parentUuid: null,
  sessionId: id(4000),
  timestamp: at(number),
  type,
  cwd: "/work",
  version: "0.5.0",
  message: { role: type === "user" ? "user" : "model", parts: content },
});

/** Small files of our own, for what the public ones do not have. */
export const own: { agent: string; form: Form; files: Record<string, string> }[] = [
  {
    agent: "Claude Code",
    form: "claude-code",
    files: {
      [`${id(1000)}.jsonl`]: lines(
        claudeRow(1, null, "user", [{ type: "text", text: "count the walruses" }, picture]),
        claudeRow(2, 1, "assistant", [
          { type: "thinking", thinking: "walruses have tusks" },
          { type: "text", text: "I count them by tusks" },
          { type: "tool_use", id: "toolu_own", name: "Bash", input: { command: "walrus --count" } },
        ]),
        claudeRow(3, 2, "user", [
          {
            type: "tool_result",
            tool_use_id: "toolu_own",
            content: [{ type: "text", text: "seventeen walruses" }, picture],
          },
        ]),
        claudeRow(4, 3, "user", "and the narwhals, please"),
        claudeRow(5, 3, "user", "rather the belugas, please"),
        claudeRow(6, 5, "assistant", [{ type: "text", text: "There are four belugas" }]),
      ),
    },
  },
  {
    agent: "Codex",
    form: "codex",
    files: {
      [`rollout-2026-01-02T10-00-00-${id(2000)}.jsonl`]: lines(
        codexRow(0, { id: id(2000), timestamp: at(0), cwd: "/work" }, "session_meta"),
        codexRow(1, { type: "message", role: "user", content: [{ type: "input_text", text: "measure the giraffe" }] }),
        codexRow(2, { type: "reasoning", summary: [{ type: "summary_text", text: "giraffes need ladders" }] }),
        codexRow(3, { type: "function_call", name: "shell", arguments: '{"command":"ladder giraffe"}', call_id: "c" }),
        codexRow(4, {
          type: "function_call_output",
          call_id: "c",
          output: [
            { type: "input_text", text: "five metres of giraffe" },
            { type: "input_image", image_url: `data:image/png;base64,${PICTURE}` },
          ],
        }),
        codexRow(5, {
          type: "message",
          role: "assistant",
          content: [{ type: "output_text", text: "It is five metres" }],
        }),
      ),
    },
  },
  {
    agent: "ChatGPT",
    form: "chatgpt",
    files: {
      "conversations.json": JSON.stringify([
        {
          title: "Otters",
          conversation_id: id(3000),
          create_time: 1_767_348_000,
          current_node: "d",
          mapping: {
            a: node("a", null, ["b", "c"], "user", {
              content_type: "multimodal_text",
              parts: [
                "which otter is this",
                { content_type: "image_asset_pointer", asset_pointer: "file-service://x" },
              ],
            }),
            b: node("b", "a", [], "assistant", parts("a sea otter, first try")),
            c: node("c", "a", ["d"], "assistant", {
              content_type: "thoughts",
              thoughts: [{ summary: "s", content: "river otters are slimmer" }],
            }),
            d: node("d", "c", [], "assistant", parts("a river otter, second try")),
          },
        },
      ]),
    },
  },
  {
    agent: "Claude.ai",
    form: "claude-export",
    files: {
      "conversations.json": JSON.stringify([
        {
          uuid: id(5000),
          name: "Lemurs",
          created_at: at(1),
          chat_messages: [
            { uuid: id(5001), sender: "human", created_at: at(1), content: [{ type: "text", text: "draw a lemur" }] },
            {
              uuid: id(5002),
              sender: "assistant",
              created_at: at(2),
              content: [
                { type: "thinking", thinking: "lemurs have ringed tails" },
                { type: "tool_use", name: "artifacts", id: "t", input: { content: "<svg>lemur tail</svg>" } },
                {
                  type: "tool_result",
                  name: "artifacts",
                  tool_use_id: "t",
                  content: [{ type: "text", text: "lemur drawn" }],
                },
                { type: "text", text: "Here is your lemur" },
              ],
            },
          ],
        },
      ]),
    },
  },
  {
    agent: "Qwen Code",
    form: "qwen",
    files: {
      "chats/session.jsonl": lines(
        qwenRow(1, "user", { text: "feed the capybara" }),
        qwenRow(
          2,
          "assistant",
          { text: "capybaras eat grass", thought: true },
          { text: "I bring it grass" },
          { functionCall: { id: "q", name: "shell", args: { command: "fetch capybara grass" } } },
        ),
        qwenRow(3, "tool_result", {
          functionResponse: { id: "q", name: "shell", response: { output: "grass for a capybara" } },
        }),
      ),
    },
  },
];
