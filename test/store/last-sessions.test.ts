import { describe, expect, test } from "bun:test";
import { fileListener } from "../support/listener.ts";

const served = fileListener();

type Json = Record<string, unknown>;

const prompt = (content: string, metadata: Json = {}) => ({
  role: "user",
  content,
  metadata: { kind: "prompt", ...metadata },
});
const use = (tool: string, args: Json, content = tool) => ({
  role: "assistant",
  content,
  metadata: { kind: "tool_use", tool, arguments: args },
});

/** Stores a session in a folder, at a time of its own. */
async function stored(
  folder: string,
  day: number,
  messages: Json[],
  { hasSessionId = true, ...more }: Json & { hasSessionId?: boolean } = {},
): Promise<string> {
  const conversation_id: string = crypto.randomUUID();
  const metadata = { source: "claude-code", cwd: folder, ...more };
  const session = hasSessionId ? { session_id: conversation_id } : {};
  await served.client.call("dewey_begin_conversation", { conversation_id, ...session, metadata });
  const at = (index: number) => new Date(Date.UTC(2026, 9, day, 10, index)).toISOString();
  await served.client.call("dewey_store_messages_bulk", {
    conversation_id,
    messages: messages.map((message, index) => ({ created_at: at(index), ...message })),
  });
  return conversation_id;
}

const digest = async (args: Json) => (await served.client.call("dewey_last_sessions", args))["digest"] as string | null;

describe("the last sessions of a folder", () => {
  test("are told with the person's last prompts, changed files and open to-dos, and with nothing that a tool said", async () => {
    const folder = "/home/ada/one";
    const id = await stored(folder, 1, [
      prompt("first ask"),
      use("Read", { file_path: `${folder}/only-read.ts` }),
      { role: "tool", content: "SECRETIVE OUTPUT", metadata: { kind: "tool_result" } },
      use("Edit", { file_path: `${folder}/src/changed.ts` }),
      use("apply_patch", {}, "apply_patch\n*** Begin Patch\n*** Update File: src/patched.ts\n@@\n*** End Patch"),
      use("TodoWrite", { todos: [{ content: "old list", status: "pending" }] }),
      use("TodoWrite", {
        todos: [
          { content: "done thing", status: "completed" },
          { content: "open thing", status: "in_progress" },
        ],
      }),
      { role: "user", content: "CLIENT WORDS", metadata: { kind: "reminder" } },
      prompt("left branch", { abandoned: true }),
      prompt("last ask"),
      { role: "assistant", content: "THE ANSWER", metadata: { kind: "answer" } },
    ]);
    const text = await digest({ folder: `${folder}/` });
    for (const expected of [
      id,
      "last ask",
      "first ask",
      "src/changed.ts",
      "src/patched.ts",
      "open thing",
      "2026-10-01 10:10",
    ])
      expect(text).toContain(expected);
    for (const unwanted of [
      "SECRETIVE",
      "CLIENT WORDS",
      "THE ANSWER",
      "left branch",
      "only-read",
      "done thing",
      "old list",
    ])
      expect(text).not.toContain(unwanted);
  });

  test("are the latest three with a prompt: without the current one, sub-agents, other folders, and the trash", async () => {
    const folder = "/home/ada/two";
    const ids = [];
    for (const day of [1, 2, 3, 4, 5]) ids.push(await stored(folder, day, [prompt(`asked on day ${day}`)]));
    const [, , , trashed = "", current = ""] = ids;
    await served.client.call("dewey_delete_conversation", { conversation_id: trashed });
    await stored(folder, 6, [prompt("sub-agent's task")], { parent_conversation_id: ids[0] });
    await stored(folder, 7, [{ role: "system", content: "no person here", metadata: {} }]);
    await stored(`${folder}/deeper`, 8, [prompt("elsewhere")]);
    const text = await digest({ folder, session: current });
    expect([...(text ?? "").matchAll(/asked: "asked on day (\d)"/g)].map(([, day]) => day)).toEqual(["3", "2", "1"]);
    for (const unwanted of ["sub-agent", "no person", "elsewhere"]) expect(text).not.toContain(unwanted);
    expect(await digest({ folder: "/home/ada/none" })).toBeNull();
  });

  test("may have no session_id", async () => {
    const folder = "/home/ada/no-session";
    await stored(folder, 1, [prompt("no session")], { hasSessionId: false });
    expect(await digest({ folder })).toContain("no session");
    expect(await digest({ folder, session: "another" })).toContain("no session");
  });

  test("survive lists and arguments of any form", async () => {
    const folder = "/home/ada/three";
    await stored(folder, 1, [
      prompt("odd forms"),
      use("TodoWrite", { todos: "not a list" }),
      use("Edit", { file_path: 7 }),
      use("Write", { file_path: ["a"] }),
    ]);
    expect(await digest({ folder })).toContain("odd forms");
    await stored(folder, 2, [
      prompt("odder"),
      use("TodoWrite", { todos: ["text", null, { status: 1 }, { content: { a: 1 } }] }),
    ]);
    expect(await digest({ folder })).toContain("odder");
  });
});
