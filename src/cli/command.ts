import { parseArgs } from "node:util";
import { DeweyError } from "../errors.ts";
import { settings } from "../settings.ts";
import type { Setting, SettingName } from "../settings.ts";
import { didYouMean } from "../nearest.ts";

/** A flag that is not a setting: it belongs to one command and has no variable. */
export interface Flag {
  /** Placeholder for the value in help; absent for a switch. */
  value?: string;
  summary: string;
  /** All values that it takes, where these are few. */
  choices?: readonly string[];
  /** May be repeated; the value is then a list. */
  many?: true;
}

/** One command of the binary: its help, its arguments and its work. */
export interface Command {
  name: string;
  summary: string;
  /** The forms of its command line. */
  usage: string[];
  /** Help beyond the flags. */
  about?: string;
  /** Command lines to copy. */
  examples: readonly string[];
  settings: readonly SettingName[];
  flags: Record<string, Flag>;
  /** Whether arguments with one dash, such as -retry, are operands; Dewey's own flags have two. */
  dashedOperands?: true;
  /** Maximum number of operands. */
  operands: number;
  /** Does the work and returns the exit code. */
  run(invocation: Invocation): Promise<number>;
}

/** One run of a command. */
export interface Invocation {
  flags: Record<string, string | boolean | string[] | undefined>;
  operands: string[];
  /** The arguments after `--`: another program's command line. Undefined without `--`. */
  rest: string[] | undefined;
  env: Record<string, string | undefined>;
  version: string;
  print: (text: string) => void;
  /** A text of Dewey's own with the commands in it as a person types them here: see `typed.ts`. */
  typed: (text: string) => string;
  /** Aborts when the process is asked to stop. */
  stopping: AbortSignal;
}

/** Parses a command's arguments. Throws `invalid` with one line that points to the help. */
export function parseCommandLine(command: Command, args: string[]): Pick<Invocation, "flags" | "operands" | "rest"> {
  const terminator = args.indexOf("--");
  const own = terminator === -1 ? args : args.slice(0, terminator);
  const dashed = command.dashedOperands ? own.filter((arg, index) => isDashed(command, own, arg, index)) : [];
  const parsed = parse(
    command,
    own.filter((arg, index) => dashed.length === 0 || !isDashed(command, own, arg, index)),
  );
  // An unset variable of a script; where words are sought, others may stand beside it.
  if (!command.dashedOperands && parsed.positionals.includes(""))
    throw usageError(command, "was given an empty argument");
  if (parsed.positionals.length > command.operands) {
    throw usageError(command, `does not take "${parsed.positionals[command.operands]}"`);
  }
  return {
    flags: parsed.values as Invocation["flags"],
    operands: [...parsed.positionals, ...dashed],
    rest: terminator === -1 ? undefined : args.slice(terminator + 1),
  };
}

/** Whether an argument is a word with one dash before it, and not the value of a flag. */
function isDashed(command: Command, args: string[], arg: string, index: number): boolean {
  const before = args[index - 1] ?? "";
  const isValue = before.startsWith("--") && flagsOf(command)[before.slice(2)]?.value !== undefined;
  return /^-[^-]/.test(arg) && !isValue;
}

/** The flags of a command: those of its settings, except ambiguous ones that two settings share, and its own. */
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
    throw usageError(command, complaintOf(error, Object.keys(options)));
  }
}

/** Shortens Node's messages, which are long and address programmers, to the flag and its problem. */
function complaintOf(error: unknown, flags: string[]): string {
  const message = error instanceof Error ? error.message : String(error);
  const unknown = /^Unknown option '([^']+)'/.exec(message);
  if (unknown) {
    const flag = (unknown[1] ?? "").replace(/^(?=[^-])/, "-");
    return `has no flag ${flag}${didYouMean(
      flag,
      flags.map((each) => `--${each}`),
    )}`;
  }
  const [, flag, fault = ""] = /^Option '(?:-\w, )?(--[\w-]+)(?: <value>)?' (.*)/.exec(message) ?? [];
  if (fault.startsWith("argument missing")) return `needs a value after ${flag}`;
  if (fault.startsWith("argument is ambiguous"))
    return `needs a value after ${flag}; write ${flag}=VALUE for one that begins with a dash`;
  if (fault.startsWith("does not take an argument")) return `takes no value after ${flag}`;
  return `was used incorrectly: ${message.split("\n")[0]}`;
}
