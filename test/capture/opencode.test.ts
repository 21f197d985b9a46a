import { expect, test } from "bun:test";
import { captureIn, sqlite, told } from "../support/imports.ts";

const ms = Date.parse("2025-03-01T10:00:00Z");
const session = {
  id: "ses_1",
  title: "Cats",
  directory: "/work",
  version: "1.2",
  parentID: "ses_0",
  time: { created: ms },
};
const user = { id: "msg_1", sessionID: "ses_1", role: "user", time: { created: ms + 1000 } };
const assistant = {
  id: "msg_2",
  sessionID: "ses_1",
  role: "assistant",
  modelID: "m",
  time: { created: ms + 2000 },
  tokens: { input: 10, output: 5, reasoning: 1, cache: { read: 2, write: 3 } },
};
const png = `data:image/png;base64,${Buffer.from("hello").toString("base64")}`;
const parts = {
  msg_1: [
    { id: "prt_1", type: "text", text: "look at LYNX" },
    { id: "prt_2", type: "text", text: "text of FILE", synthetic: true },
    { id: "prt_3", type: "file", mime: "image/png", filename: "cat.png", url: png },
  ],
  msg_2: [
    { id: "prt_4", type: "step-start" },
    { id: "prt_5", type: "reasoning", text: "think of MARGAY" },
    { id: "prt_6", type: "text", text: "It is OCELOT." },
    {
      id: "prt_7",
      type: "tool",
      tool: "read",
      callID: "c",
      state: { status: "completed", input: { path: "a" }, output: "body", time: { start: ms, end: ms + 3000 } },
    },
    { id: "prt_8", type: "tool", tool: "rm", callID: "d", state: { status: "error", input: {}, error: "no" } },
  ],
};
const said = [
  ["user", "prompt", "look at LYNX"],
  ["system", "context", "text of FILE"],
  ["user", "prompt", "[file cat.png]\n\n[image image/png 5 bytes sha256:2cf24dba5fb0a30e]"],
  ["assistant", "thinking", "think of MARGAY"],
  ["assistant", "answer", "It is OCELOT."],
  ["assistant", "tool_use", "read\npath: a"],
  ["tool", "tool_result", "body"],
  ["assistant", "tool_use", "rm"],
  ["tool", "tool_result", "no"],
];
const withIds = (message: "msg_1" | "msg_2") =>
  parts[message].map((part) => ({ ...part, sessionID: "ses_1", messageID: message }));
const fileOf = (value: object) => JSON.stringify(value, null, 2);
const files = (part: (message: string, id: string) => string, message: (id: string) => string) => ({
  [message("msg_1")]: fileOf(user),
  [message("msg_2")]: fileOf(assistant),
  ...Object.fromEntries(
    (["msg_1", "msg_2"] as const).flatMap((id) => withIds(id).map((each) => [part(id, each.id), fileOf(each)])),
  ),
});
const folder = {
  "storage/session/p/ses_1.json": fileOf(session),
  ...files(
    (message, id) => `storage/part/${message}/${id}.json`,
    (id) => `storage/message/ses_1/${id}.json`,
  ),
};
const firstFolder = {
  "storage/session/info/ses_1.json": fileOf(session),
  ...files(
    (message, id) => `storage/session/part/ses_1/${message}/${id}.json`,
    (id) => `storage/session/message/ses_1/${id}.json`,
  ),
};
const { id: _, sessionID: __, ...userData } = user;
const { id: ___, sessionID: ____, ...assistantData } = assistant;
const database = sqlite({
  session: [
    {
      id: "ses_1",
      parent_id: "ses_0",
      title: "Cats",
      directory: "/work",
      version: "1.2",
      time_created: ms,
      revert: null,
    },
  ],
  message: [
    { id: "msg_1", session_id: "ses_1", time_created: ms + 1000, data: JSON.stringify(userData) },
    { id: "msg_2", session_id: "ses_1", time_created: ms + 2000, data: JSON.stringify(assistantData) },
  ],
  part: Object.entries(parts).flatMap(([message, list]) =>
    list.map(({ id, ...data }) => ({ id, message_id: message, session_id: "ses_1", data: JSON.stringify(data) })),
  ),
});
const exported = fileOf({
  info: session,
  messages: [
    { info: user, parts: parts.msg_1 },
    { info: assistant, parts: parts.msg_2 },
  ],
});

test.each<[string, Record<string, string | Uint8Array>, string]>([
  ["a folder of files", folder, "storage/session/p/ses_1.json"],
  ["a folder of the first versions", firstFolder, "storage/session/info/ses_1.json"],
  ["a database", { "opencode.db": database }, "opencode.db"],
  ["an export", { "session.json": exported }, "session.json"],
])("a session of OpenCode in %s is read whole", async (_, given, name) => {
  const [talk] = await told(given, name);
  expect(talk?.said as unknown[]).toEqual(said);
  expect(talk).toMatchObject({
    title: "Cats",
    facts: {
      source: "opencode",
      session_id: "ses_1",
      cwd: "/work",
      model: "m",
      client_version: "1.2",
      created_at: "2025-03-01T10:00:00.000Z",
    },
  });
  expect(talk?.messages.filter((each) => each.metadata?.["tokens"])).toMatchObject([
    { metadata: { tokens: { input: 10, output: 5, thinking: 1, cache_read: 2, cache_write: 3 } } },
  ]);
});

test("every form gives the same ids, and a sub-session the id of its parent", async () => {
  const forms = await Promise.all([
    told(folder, "storage/session/p/ses_1.json"),
    told({ "o.db": database }, "o.db"),
    told({ "o.json": exported }, "o.json"),
  ]);
  const [first, ...others] = forms.map(([talk]) => talk?.messages.map((each) => each.message_id));
  for (const other of others) expect(other).toEqual(first ?? []);
  const [parent] = await told({ "o.json": exported.replaceAll("ses_1", "ses_0") }, "o.json");
  expect(forms[0]?.[0]?.facts).toMatchObject({ parent_conversation_id: parent?.id });
});

test("messages and parts are read with their session, and are none by themselves", async () => {
  for (const name of ["storage/message/ses_1/msg_1.json", "storage/part/msg_1/prt_1.json"])
    expect(await captureIn(folder, name)).toEqual([]);
});

test("a part that is broken is told, and the others are kept", async () => {
  const broken = { ...folder, "storage/part/msg_2/prt_6.json": "{" };
  const captured = await captureIn(broken, "storage/session/p/ses_1.json");
  expect(captured?.find((each) => each.kind === "broken")).toMatchObject({
    reason: expect.stringContaining("prt_6.json is no JSON"),
  });
  expect(captured?.filter((each) => each.kind === "message").length).toBeGreaterThan(7);
});
