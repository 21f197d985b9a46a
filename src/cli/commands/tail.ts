import { DeweyError } from "../../errors.ts";
import { pause } from "../../pause.ts";
import type { TailReply } from "../../store/tail.ts";
import { clientCommand, jsonLine, textFlag } from "../client-command.ts";
import { conversationIdOf } from "../conversation-id.ts";
import { localTime } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";
import { oneLine, visible } from "../../visible.ts";

/** Often enough to look live, at one small query per second. */
const POLL_INTERVAL_MS = 1000;
/** Maximum length of a message's line when no terminal cuts it. */
const LINE_CHARACTERS = 500;

export const tail = clientCommand({
  name: "tail",
  summary: "follows new messages until Ctrl-C",
  usage: ["dewey tail [--session S] [--conversation ID] [--json]"],
  examples: ["dewey tail", "dewey tail --conversation last"],
  about: "Prints one line per message, with --json one JSON object per line. If the server goes down, it waits for it.",
  flags: {
    session: { value: "S", summary: "only conversations with this session_id" },
    conversation: { value: "ID", summary: "only this conversation" },
  },
  operands: 0,
  async work(talk) {
    const { call, out, terminal, json, invocation } = talk;
    const session = textFlag(invocation, "session");
    const named = textFlag(invocation, "conversation");
    const conversation = named === undefined ? undefined : await conversationIdOf(talk, named);
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
    // The first call fails if there is no server; later ones wait for it.
    let { cursor } = await read();
    let away = false;
    if (terminal.interactive) process.stderr.write("Following new messages; Ctrl-C stops.\n");
    while (!invocation.stopping.aborted) {
      const reply = await read(cursor).catch((error: unknown) => {
        if (!(error instanceof DeweyError) || error.code !== "unavailable") throw error;
        if (!away) process.stderr.write(`dewey: ${visible(error.message)}; waiting for it\n`);
        return undefined;
      });
      away = reply === undefined;
      cursor = reply?.cursor ?? cursor;
      for (const message of reply?.messages ?? []) {
        await out.write(json ? `${jsonLine(message)}\n` : line(message, terminal));
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
