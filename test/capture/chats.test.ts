import { describe, expect, test } from "bun:test";
import { captureFile } from "../support/imports.ts";

async function said(name: string, value: unknown) {
  const captured = await captureFile(name, JSON.stringify(value));
  return captured?.flatMap((each) => {
    if (each.kind !== "message" || each.message.metadata?.["bookkeeping"] === true) return [];
    return [[each.message.role, each.message.metadata?.["kind"], each.message.content]];
  });
}

describe("ChatGPT's export", () => {
  const contents = [
    ["system", { content_type: "text", parts: [""] }],
    ["user", { content_type: "user_editable_context", user_profile: "PROFILE", user_instructions: "CUSTOM" }],
    ["assistant", { content_type: "model_editable_context", model_set_context: "MEMORY" }],
    ["user", { content_type: "text", parts: ["Q"] }],
    ["assistant", { content_type: "thoughts", thoughts: [{ summary: "SHORT", content: "LONG" }] }],
    ["assistant", { content_type: "reasoning_recap", content: "Thought for 3s" }],
    ["assistant", { content_type: "code", language: "python", text: "print(1)" }],
    ["tool", { content_type: "computer_output", state: { title: "PAGE" } }],
    ["tool", { content_type: "future_output", body: [{ text: "FUTURE" }] }],
    [
      "assistant",
      { content_type: "multimodal_text", parts: [{ content_type: "audio_transcription", text: "SPOKEN" }] },
    ],
  ] as const;
  const mapping = Object.fromEntries(
    contents.map(([role, content], index) => [
      `${index}`,
      {
        id: `${index}`,
        parent: index === 0 ? null : `${index - 1}`,
        children: [`${index + 1}`],
        message: {
          author: { role },
          create_time: index === 0 ? null : 1_700_000_000 + index,
          content,
          metadata: index === 3 ? { attachments: [{ name: "NOTES.pdf" }] } : {},
        },
      },
    ]),
  );
  const chat = { title: "Dogs", conversation_id: "c", create_time: 1_700_000_000, current_node: "9", mapping };

  test("has thoughts, instructions and outputs of tools as what they say, names of files, and no empty nodes", async () => {
    expect(await said("conversations.json", [chat])).toEqual([
      ["system", "instructions", "PROFILE\nCUSTOM"],
      ["system", "instructions", "MEMORY"],
      ["user", "prompt", "Q\n\n[file NOTES.pdf]"],
      ["assistant", "thinking", "SHORT\nLONG"],
      ["assistant", "thinking", "Thought for 3s"],
      ["assistant", "tool_use", "print(1)"],
      ["tool", "tool_result", "PAGE"],
      ["tool", "tool_result", "FUTURE"],
      ["assistant", "answer", "SPOKEN"],
    ]);
  });

  test("is read as a list, as one conversation, and in an object", async () => {
    const list = await said("a.json", [chat]);
    expect(await said("b.json", chat)).toEqual(list);
    expect(await said("c.json", { conversations: [chat] })).toEqual(list);
  });
});

test("the title that a client gave is a note of the conversation, so that a search finds its words", async () => {
  const chat = { uuid: crypto.randomUUID(), name: "About KOALAS", created_at: "2025-01-01T00:00:00Z" };
  const asked = { uuid: "m", sender: "human", text: "hi", content: [{ type: "text", text: "hi" }] };
  const captured = await captureFile("conversations.json", JSON.stringify([{ ...chat, chat_messages: [asked] }]));
  const titles = captured?.flatMap((each) =>
    each.kind === "message" && each.message.metadata?.["kind"] === "title" ? [each.message] : [],
  );
  expect(titles).toMatchObject([
    {
      role: "system",
      content: "About KOALAS",
      created_at: "2025-01-01T00:00:00.000Z",
      metadata: { bookkeeping: true },
    },
  ]);
});

describe("Claude.ai's export", () => {
  const chat = {
    uuid: "0b9a3a3e-57b4-4b5a-9d55-d2ba5a8b4f10",
    name: "Cats",
    created_at: "2025-01-01T00:00:00Z",
    chat_messages: [
      {
        uuid: "m1",
        sender: "human",
        text: "hi",
        content: [{ type: "text", text: "hi" }],
        attachments: [{ file_name: "a.txt", extracted_content: "EXTRACTED" }],
        files: [{ file_name: "pic.png" }],
      },
      {
        uuid: "m2",
        sender: "assistant",
        text: "ok This block is not supported on your current device yet. done",
        content: [
          { type: "thinking", thinking: "THINK", summaries: [{ summary: "SHORT" }] },
          { type: "text", text: "ok" },
          { type: "tool_use", name: "artifacts", input: { title: "ART", content: "BODY" } },
          { type: "tool_result", name: "artifacts", content: [{ type: "text", text: "RESULT" }] },
          { type: "text", text: "done" },
        ],
      },
    ],
  };

  test("has thinking, artifacts, results and attached texts, each a message in its place", async () => {
    const messages = [
      ["user", "prompt", "hi\n\n[file a.txt]\nEXTRACTED\n\n[file pic.png]"],
      ["assistant", "thinking", "THINK"],
      ["assistant", "answer", "ok"],
      ["assistant", "tool_use", "artifacts\ntitle: ART\ncontent: BODY"],
      ["tool", "tool_result", "RESULT"],
      ["assistant", "answer", "done"],
      ["assistant", "thinking-summary", "SHORT"],
    ];
    expect(await said("conversations.json", [chat])).toEqual(messages);
    expect(await said("one.json", chat)).toEqual(messages);
  });

  test("marks the branch that was left", async () => {
    const root = "00000000-0000-4000-8000-000000000000";
    const message = (uuid: string, parent_message_uuid: string, sender: string) => ({
      uuid,
      parent_message_uuid,
      sender,
      content: [{ type: "text", text: uuid }],
    });
    const chat_messages = [
      message("q", root, "human"),
      message("a1", "q", "assistant"),
      message("a2", "q", "assistant"),
    ];
    const captured = await captureFile("c.json", JSON.stringify([{ uuid: "c", name: "", chat_messages }]));
    const abandoned = captured?.flatMap((each) =>
      each.kind === "message" && each.message.metadata?.["abandoned"] === true ? [each.message.content] : [],
    );
    expect(abandoned).toEqual(["a1"]);
  });

  test("holds projects with their documents, and memories", async () => {
    const project = {
      uuid: "p",
      name: "Garden",
      description: "PLANTS",
      prompt_template: "TEMPLATE",
      docs: [{ uuid: "d", filename: "soil.md", content: "SOIL" }],
    };
    const messages = [
      ["system", "project", "Garden\n\nPLANTS"],
      ["system", "instructions", "TEMPLATE"],
      ["system", "document", "soil.md\n\nSOIL"],
    ];
    expect(await said("projects.json", [project])).toEqual(messages);
    expect(await said("p.json", project)).toEqual(messages);
    const memories = [{ conversations_memory: "REMEMBERED", project_memories: { p: "OF PROJECT" }, account_uuid: "a" }];
    expect((await said("memories.json", memories))?.map(([, , text]) => text)).toEqual(["REMEMBERED", "OF PROJECT"]);
  });
});
