import packageJson from "../../package.json" with { type: "json" };
import { ToolClient } from "../tool-client.ts";
import { clientConfig, obeyed, terminalConfig } from "../config.ts";
import { DeweyError } from "../errors.ts";
import { escapedJson } from "../visible.ts";
import type { Command, Flag, Invocation } from "./command.ts";
import { usageError } from "./command.ts";
import { didYouMean } from "../nearest.ts";
import { isLoopback } from "../loopback.ts";
import { askHealth, whyUnreachable } from "./health.ts";
import type { Address } from "./health.ts";
import { startServerIfAway } from "./local-server.ts";
import { OutputClosed, pagedOutput, standardOutput } from "./output.ts";
import type { Output } from "./output.ts";
import { requestServer } from "./requests.ts";
import { terminalOf } from "./terminal.ts";
import type { Terminal } from "./terminal.ts";

/** One run of a command that talks to the server. */
export interface Talk {
  /**
   * Calls a tool. `flags` maps each flag to the tool's field that it sets, so that an error names the flag that the user
   * wrote.
   */
  call: <Reply>(tool: string, args: Record<string, unknown>, flags?: Record<string, string>) => Promise<Reply>;
  out: Output;
  terminal: Terminal;
  /** Where the last list is remembered. */
  dataDir: string;
  /** Whether to print JSON, for programs. */
  json: boolean;
  invocation: Invocation;
}

interface ClientCommand {
  name: string;
  summary: string;
  usage: string[];
  about?: string;
  examples: readonly string[];
  /** Whether words such as -retry are operands. */
  dashedOperands?: true;
  flags?: Record<string, Flag>;
  operands: number;
  /** Whether the output may be long; on a terminal it then goes through $PAGER. */
  paged?: boolean;
  work(talk: Talk): Promise<number | void>;
}

/**
 * A command that calls the server at DEWEY_URL over MCP and shows its replies. If none answers and the address is local, it
 * starts one, which ends when it has had no clients for a while.
 */
export function clientCommand(spec: ClientCommand): Command {
  return {
    name: spec.name,
    summary: spec.summary,
    usage: spec.usage,
    ...(spec.about === undefined ? {} : { about: spec.about }),
    examples: spec.examples,
    ...(spec.dashedOperands ? { dashedOperands: true as const } : {}),
    settings: obeyed.client,
    flags: { ...spec.flags, json: { summary: "print JSON, for programs" } },
    operands: spec.operands,
    async run(invocation) {
      const { url, token, dataDir, logLevel } = clientConfig(invocation);
      const terminal = terminalConfig(invocation.env);
      const client = new ToolClient({ url, token });
      const json = invocation.flags["json"] === true;
      const view = terminalOf(terminal);
      const { pager } = terminal;
      const paged = spec.paged === true && !json && view.interactive && pager !== undefined;
      const out = paged ? lazily(() => pagedOutput(pager, invocation.env)) : standardOutput();
      let isReached = false;
      const call = async <Reply>(tool: string, args: Record<string, unknown>, flags: Record<string, string> = {}) => {
        const asked = () => ask(client, { url, token }, tool, args, flags);
        const reply = await asked().catch(async (error: unknown) => {
          // One that was reached and has gone was stopped, perhaps for an upgrade.
          if (isReached || !(await isAway(url, error))) throw error;
          await startServerIfAway({ url, token, dataDir, logLevel }, invocation.env);
          return asked();
        });
        isReached = true;
        return reply as Reply;
      };
      try {
        return (await spec.work({ call, out, terminal: view, dataDir, json, invocation })) ?? 0;
      } catch (error) {
        if (error instanceof OutputClosed) return 0;
        throw error;
      } finally {
        await out.close().catch(() => {});
        await client.close();
      }
    },
  };
}

/** Whether the error is that no server answers at an address on this machine, where one may be started. */
async function isAway(url: string, error: unknown): Promise<boolean> {
  if (!(error instanceof DeweyError) || error.code !== "unavailable") return false;
  return isLoopback(new URL(url).hostname) && (await askHealth(url)) === undefined;
}

/** Opens the output at the first write: a pager takes over the terminal, so it must not start before an error. */
function lazily(open: () => Output): Output {
  let output: Output | undefined;
  return {
    write: (text) => (output ??= open()).write(text),
    close: async () => output?.close(),
  };
}

/** The tools that change startup contexts, which DEWEY_CONTEXT_WRITES may keep from clients, but not from a person. */
const contextWriters = new Set([
  "dewey_set_startup_context",
  "dewey_tie_startup_context",
  "dewey_delete_startup_context",
]);

async function writeContext(address: Address, tool: string, args: Record<string, unknown>): Promise<unknown> {
  const client = { name: "dewey", version: packageJson.version };
  const body = JSON.stringify({ tool, arguments: args, client });
  const headers = { "content-type": "application/json" };
  return (await requestServer(address, "/contexts", body, headers)).json();
}

async function ask(
  client: ToolClient,
  address: Address,
  tool: string,
  args: Record<string, unknown>,
  flags: Record<string, string>,
): Promise<unknown> {
  try {
    return contextWriters.has(tool) ? await writeContext(address, tool, args) : await client.call(tool, args);
  } catch (error) {
    if (!(error instanceof DeweyError)) throw error;
    if (error.code === "unavailable") throw (await whyUnreachable(address)) ?? error;
    throw inWordsOfCommands(error, flags);
  }
}

/** The server's error, which addresses MCP clients, with the flags and the command that a person writes. */
export function inWordsOfCommands(error: DeweyError, flags: Record<string, string>): DeweyError {
  const message = error.message.replaceAll("dewey_list_conversations", "dewey list");
  const flag = Object.entries(flags).find(([, field]) => field === error.field)?.[0];
  const field = flag ?? error.field;
  const named = flag === undefined || error.field === undefined ? message : withFlag(message, error.field, flag);
  return new DeweyError(error.code, named, { cause: error, ...(field === undefined ? {} : { field }) });
}

/** Names the flag in place of the field, but where its name is a word of the sentence, as in "has no turn 7". */
function withFlag(message: string, field: string, flag: string): string {
  const isNamed = field.includes("_") || message.startsWith(field) || message.includes(`set ${field} `);
  return isNamed ? message.replace(field, flag) : message;
}

/** The text given for a flag. */
export function textFlag(invocation: Invocation, name: string): string | undefined {
  const value = invocation.flags[name];
  return typeof value === "string" ? value : undefined;
}

/** A number with more digits than any limit has. */
const MAX_NUMBER_DIGITS = 9;

/** The whole number given for a flag. Throws `invalid` for anything else; the server checks its range. */
export function numberFlag(command: Pick<Command, "name">, invocation: Invocation, name: string): number | undefined {
  const text = textFlag(invocation, name);
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text))
    throw usageError(command, `needs a whole number after --${name}, not ${JSON.stringify(text)}`);
  if (text.length > MAX_NUMBER_DIGITS)
    throw usageError(command, `needs a number of at most ${MAX_NUMBER_DIGITS} digits after --${name}`);
  return Number(text);
}

/** One of the values that a flag takes. Throws `invalid` for any other, with the one that it resembles. */
export function choiceFlag<Choice extends string>(
  command: Pick<Command, "name">,
  invocation: Invocation,
  name: string,
  choices: readonly Choice[],
): Choice | undefined {
  const text = textFlag(invocation, name);
  const choice = choices.find((each) => each === text);
  if (text === undefined || choice !== undefined) return choice;
  const known = `${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}`;
  throw usageError(command, `needs ${known} after --${name}, not ${JSON.stringify(text)}${didYouMean(text, choices)}`);
}

/** The maximum number of list entries to show. */
export function limitFlag(command: Pick<Command, "name">, invocation: Invocation): number | undefined {
  const limit = numberFlag(command, invocation, "limit");
  if (limit === 0) throw usageError(command, "needs a number of at least 1 after --limit");
  return limit;
}

/** The operands, with those after `--`, which may begin with a dash. Throws `invalid` when there are none. */
export function wantedOperands(command: Pick<Command, "name">, invocation: Invocation, what: string): string[] {
  const operands = [...invocation.operands, ...(invocation.rest ?? [])];
  if (operands.length === 0) throw usageError(command, `needs ${what}`);
  return operands;
}

/** JSON text, indented because people read it too. */
export function jsonText(value: unknown): string {
  return `${escapedJson(JSON.stringify(value, null, 2))}\n`;
}

/** On one line, for streams and for pieces of a longer JSON text. */
export function jsonLine(value: unknown): string {
  return escapedJson(JSON.stringify(value));
}
