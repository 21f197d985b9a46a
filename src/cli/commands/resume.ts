import { statSync } from "node:fs";
import { DeweyError } from "../../errors.ts";
import type { ConversationPage } from "../../store/page.ts";
import { clientCommand, jsonText, wantedOperands } from "../client-command.ts";
import { conversationIdOf } from "../conversation-id.ts";
import { leaveInterruptsToChild } from "../output.ts";
import { oneLine } from "../../visible.ts";
import { shellWord } from "../shell-word.ts";

/** The command line with which each client continues a session. */
const resumers: Record<string, (session: string) => [string, ...string[]]> = {
  "claude-code": (session) => ["claude", "--resume", session],
  codex: (session) => ["codex", "resume", session],
  gemini: (session) => ["gemini", "--resume", session],
  opencode: (session) => ["opencode", "--session", session],
};

/** A client's own name of a session. A stored text of another form could pass for a flag. */
const SESSION = /^[0-9a-z][\w-]{0,199}$/i;

export const resume = clientCommand({
  name: "resume",
  summary: "continues a session in the client it came from, in its folder",
  usage: ["dewey resume ID [--print] [--json]"],
  about: `For conversations of ${Object.keys(resumers).join(", ")}. --print shows the command instead of running it.`,
  examples: ["dewey resume last", "dewey resume 2 --print"],
  flags: { print: { summary: "show the command, and do not run it" } },
  operands: 1,
  async work(talk) {
    const { call, out, json, invocation } = talk;
    const [given = ""] = wantedOperands(resume, invocation, "the id of a conversation; dewey list shows it");
    const conversation_id = await conversationIdOf(talk, given);
    const page = await call<ConversationPage>("dewey_get_conversation", { conversation_id, limit: 1 });
    const command = resumeCommand(page);
    if (json) return out.write(jsonText({ conversation_id, folder: page.folder, command }));
    if (invocation.flags["print"] === true) return out.write(`${commandLine(command, page.folder)}\n`);
    return runIn(page.folder, command, invocation.env);
  },
});

type Facts = Pick<ConversationPage, "conversation_id" | "client" | "session_id" | "parent_id" | "metadata">;

/** Throws `invalid`, with the reason, for a conversation that no client can continue. */
export function resumeCommand({
  conversation_id,
  client,
  session_id,
  parent_id,
  metadata,
}: Facts): [string, ...string[]] {
  const problem = (reason: string) => new DeweyError("invalid", reason, { field: "ID" });
  if (parent_id !== null)
    throw problem(`that is a sub-agent's conversation; continue the one that started it: dewey resume ${parent_id}`);
  if (metadata?.["upstream"] !== undefined)
    throw problem("that is a recording of MCP calls, which has no session to continue; read it with dewey show");
  const command = client !== null && Object.hasOwn(resumers, client) ? resumers[client] : undefined;
  if (command === undefined) {
    const known = Object.keys(resumers).join(", ");
    const origin = client === null ? "that came from no known client" : `that came from ${oneLine(client)}`;
    throw problem(`${origin}; only sessions of ${known} can be continued. Read it with: dewey show ${conversation_id}`);
  }
  if (session_id === null || !SESSION.test(session_id))
    throw problem("that conversation does not say which session of the client it was");
  return command(session_id);
}

/** The command as a line for a shell. */
export function commandLine(command: string[], folder: string | null): string {
  const line = command.map(shellWord).join(" ");
  return folder === null ? line : `cd -- ${shellWord(folder)} && ${line}`;
}

async function runIn(folder: string | null, command: [string, ...string[]], env: Record<string, string | undefined>) {
  if (folder !== null && !statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new DeweyError(
      "not_found",
      `the folder of that session is gone: ${folder}; dewey resume --print shows the command`,
    );
  const [program] = command;
  if (Bun.which(program, { PATH: env["PATH"] ?? "" }) === null)
    throw new DeweyError(
      "not_found",
      `${program} is not installed here; dewey resume --print shows the command for elsewhere`,
    );
  leaveInterruptsToChild();
  const child = Bun.spawn(command, {
    env,
    stdio: ["inherit", "inherit", "inherit"],
    ...(folder === null ? {} : { cwd: folder }),
  });
  return child.exited;
}
