import { parseArgs } from "node:util";
import { DeweyError } from "../errors.ts";
import { settings } from "../settings.ts";
import type { Setting, SettingName } from "../settings.ts";

/** A flag that is no setting: it belongs to one command and has no variable. */
export interface Flag {
  /** What stands for the value in help; absent for a switch. */
  value?: string;
  summary: string;
  /** May be given more than once; its value is then a list. */
  many?: true;
}

/** One command of the binary: what its help says, what it takes, and what it does. */
export interface Command {
  name: string;
  summary: string;
  /** The forms in which it can be called. */
  usage: string[];
  /** What a person should know beyond the flags. */
  about?: string;
  settings: readonly SettingName[];
  flags: Record<string, Flag>;
  /** How many operands it takes at most. */
  operands: number;
  /** Does the work and answers the exit code. */
  run(invocation: Invocation): Promise<number>;
}

/** One call of a command. */
export interface Invocation {
  flags: Record<string, string | boolean | string[] | undefined>;
  operands: string[];
  /** What stood behind `--`: a command line that is not ours to read. */
  rest: string[] | undefined;
  env: Record<string, string | undefined>;
  version: string;
  print: (text: string) => void;
  /** Aborts when the process is asked to stop. */
  stopping: AbortSignal;
}

/** Reads a command's own arguments. Throws an `invalid` error of one line that says where help is. */
export function parseCommandLine(command: Command, args: string[]): Pick<Invocation, "flags" | "operands" | "rest"> {
  const terminator = args.indexOf("--");
  const own = terminator === -1 ? args : args.slice(0, terminator);
  const parsed = parse(command, own);
  if (parsed.positionals.length > command.operands) {
    throw usageError(command, `does not take "${parsed.positionals[command.operands]}"`);
  }
  return {
    flags: parsed.values as Invocation["flags"],
    operands: parsed.positionals,
    rest: terminator === -1 ? undefined : args.slice(terminator + 1),
  };
}

/** The flags of a command: those of its settings, and its own. One that two of its settings share would be ambiguous. */
export function flagsOf(command: Command): Record<string, Flag> {
  const rows = command.settings
    .map((name): Setting<unknown> => settings[name])
    .filter((row): row is Setting<unknown> & { flag: string } => row.flag !== undefined);
  const clear = rows.filter((row) => rows.every((other) => other === row || other.flag !== row.flag));
  return {
    ...Object.fromEntries(clear.map(({ flag, value, summary }): [string, Flag] => [flag, { value, summary }])),
    ...command.flags,
  };
}

export function usageError(command: Pick<Command, "name">, complaint: string): DeweyError {
  return new DeweyError("invalid", `dewey ${command.name} ${complaint}; see: dewey help ${command.name}`);
}

function parse(command: Command, args: string[]) {
  const options = Object.fromEntries(
    Object.entries(flagsOf(command)).map(([name, flag]) => [
      name,
      {
        type: flag.value === undefined ? ("boolean" as const) : ("string" as const),
        ...(flag.many ? { multiple: true } : {}),
      },
    ]),
  );
  try {
    return parseArgs({ args, options, strict: true, allowPositionals: true });
  } catch (error) {
    throw usageError(command, complaintOf(error));
  }
}

/** Node's own sentences are long and speak of programming; a person needs the flag and what is wrong with it. */
function complaintOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const unknown = /^Unknown option '([^']+)'/.exec(message);
  if (unknown) return `has no flag ${unknown[1]}`;
  return `was called wrongly: ${message.split("\n")[0]}`;
}
