import { DeweyError } from "../../errors.ts";
import { pause } from "../../pause.ts";
import type { TailReply } from "../../store/tail.ts";
import { clientCommand, textFlag } from "../client-command.ts";
import { localTime, oneLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

/** Often enough to be called live, and one small query a second. */
const POLL_INTERVAL_MS = 1000;
/** What a line holds of a content where no terminal cuts it. */
const LINE_CHARACTERS = 500;

export const tail = clientCommand({
  name: "tail",
  summary: "shows what is stored, as it is stored, until Ctrl-C",
  usage: ["dewey tail [--session S] [--conversation ID] [--json]"],
  about: "A line for each message; with --json a JSON object a line. It waits for a server that goes away.",
  flags: {
    session: { value: "S", summary: "only conversations with this session_id" },
    conversation: { value: "ID", summary: "only this conversation" },
  },
  operands: 0,
  async work({ call, out, terminal, json, invocation }) {
    const session = textFlag(invocation, "session");
    const conversation = textFlag(invocation, "conversation");
    const filter = {
      ...(session === undefined ? {} : { session_id: session }),
      ...(conversation === undefined ? {} : { conversation_id: conversation }),
    };
    const read = (cursor?: string) =>
      call<TailReply>(
        "dewey_new_messages",
        { ...filter, ...(cursor === undefined ? {} : { cursor, limit: 100 }) },
        { "--session": "session_id", "--conversation": "conversation_id" },
      );
    // The first answer tells whether there is a server at all.
    let { cursor } = await read();
    let away = false;
    if (terminal.interactive) process.stderr.write("Following what is stored; Ctrl-C ends.\n");
    while (!invocation.stopping.aborted) {
      const reply = await read(cursor).catch((error: unknown) => {
        if (!(error instanceof DeweyError) || error.code !== "unavailable") throw error;
        if (!away) process.stderr.write(`dewey: ${error.message}; waiting for it\n`);
        return undefined;
      });
      away = reply === undefined;
      cursor = reply?.cursor ?? cursor;
      for (const message of reply?.messages ?? []) {
        await out.write(json ? `${JSON.stringify(message)}\n` : line(message, terminal));
      }
      if (reply?.more !== true) await pause(POLL_INTERVAL_MS, invocation.stopping);
    }
  },
});

function line(message: TailReply["messages"][number], terminal: Terminal): string {
  const { paint } = terminal;
  const tool = message.metadata?.["tool"];
  const outcome = message.metadata?.["outcome"];
  const who = [message.role, tool, outcome].filter((part) => typeof part === "string").map((part) => oneLine(part));
  const head = [
    paint("quiet", localTime(message.created_at, "second")),
    paint("quiet", message.conversation_id),
    paint(outcome === "error" ? "bad" : "name", who.join(" ")),
  ];
  const text = oneLine(message.content.slice(0, LINE_CHARACTERS));
  return `${terminal.fit([...head, text].join("  "))}\n`;
}
