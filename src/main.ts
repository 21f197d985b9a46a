import packageJson from "../package.json" with { type: "json" };
import type { Command } from "./cli/command.ts";
import { allCommands, commandNamed, commandNames } from "./cli/commands.ts";
import { asDeweyError, DeweyError, exitCode } from "./errors.ts";

/** Arguments in, exit code out. An error is one message on stderr. */
async function main(args: string[]): Promise<number> {
  try {
    const code = await dispatch(args);
    await printed();
    return code;
  } catch (thrown) {
    const [{ visible }, { systemRefusal }] = await Promise.all([import("./visible.ts"), import("./system-error.ts")]);
    const refusal = systemRefusal(thrown);
    const error = refusal === undefined ? asDeweyError(thrown) : new DeweyError("unavailable", refusal);
    const typed = await typing();
    const message = `dewey: ${visible(typed(error.message))}`;
    const { isTTY, columns } = process.stderr;
    const { wrapped } = await import("./cli/prose.ts");
    process.stderr.write(`${isTTY && columns > 0 ? wrapped(message, columns) : message}\n`);
    // A hook must not fail: exit code 2 makes Claude Code refuse the user's prompt.
    return args[0] === "hook" ? 0 : exitCode(error.code);
  }
}

async function dispatch(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === "--version" || name === "-V") return print(`dewey ${packageJson.version}\n`);
  if (name === undefined || name === "--help" || name === "-h") return help([]);
  if (name === "help") return help(rest.filter((arg) => arg !== "--help" && arg !== "-h"));
  if (asksForHelp(rest)) return help([name]);
  const command = await knownCommand(name);
  const [{ parseCommandLine }, { visible }, typed] = await Promise.all([
    import("./cli/command.ts"),
    import("./visible.ts"),
    typing(),
  ]);
  return command.run({
    ...parseCommandLine(command, rest),
    env: process.env,
    version: packageJson.version,
    print: (text) => print(visible(text)),
    typed,
    stopping: stopSignal(),
  });
}

async function help(args: string[]): Promise<number> {
  const [name, extra] = args;
  if (extra !== undefined) throw new DeweyError("invalid", `dewey help takes one command; see: dewey --help`);
  const { helpWidth, manual, overview } = await import("./cli/help.ts");
  const width = helpWidth(process.stdout.columns);
  const typed = await typing();
  if (name === undefined || name === "help")
    return print(overview(await allCommands(), packageJson.version, { width, typed }));
  return print(manual(await knownCommand(name), { width, typed }));
}

async function knownCommand(name: string): Promise<Command> {
  const command = await commandNamed(name);
  if (command) return command;
  const kind = name.startsWith("-") ? "flag" : "command";
  const { didYouMean } = await import("./nearest.ts");
  const meant = didYouMean(name, [...commandNames, "help", "--help", "--version"]);
  throw new DeweyError("invalid", `there is no ${kind} ${JSON.stringify(name)}${meant}; see: dewey --help`);
}

/** Looks only before `--`: another program's command line follows it. */
function asksForHelp(args: string[]): boolean {
  const own = args.includes("--") ? args.slice(0, args.indexOf("--")) : args;
  return own.includes("--help") || own.includes("-h");
}

/** `Invocation.typed`. */
async function typing(): Promise<(text: string) => string> {
  const { typedAs, typedName, whereabouts } = await import("./cli/typed.ts");
  return (text) => typedAs(typedName(whereabouts(process.env)), text);
}

/** What stdout refused of what was printed; undefined while it takes everything. */
let refused: NodeJS.ErrnoException | undefined;
let hasPrinted = false;

function print(text: string): number {
  // The callback tells of it; without a listener it would end the process.
  if (!hasPrinted) process.stdout.on("error", () => {});
  hasPrinted = true;
  process.stdout.write(text, (error) => (refused ??= error ?? undefined));
  return 0;
}

/** Waits until stdout has taken everything. Throws when it refused some, unless its reader has gone, as `head` does. */
async function printed(): Promise<void> {
  if (!hasPrinted) return;
  await new Promise((resolve) => process.stdout.write("", resolve));
  if (refused !== undefined && refused.code !== "EPIPE") throw refused;
}

/** What is being done when Ctrl-C is pressed is finished first; a person who waits longer than this thinks that it was not seen. */
const PATIENCE_MS = 1000;

function tellOfSecond(): void {
  process.stderr.write("\nStopping after what is under way; Ctrl-C again ends it at once.\n");
}

/** Aborts at the first SIGINT or SIGTERM; the second ends the process at once, whatever it is waiting for. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  // Shells report a process that a signal ended as 128 plus the signal's number.
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(code);
      controller.abort(signal);
      if (signal === "SIGINT" && process.stderr.isTTY) setTimeout(tellOfSecond, PATIENCE_MS).unref();
    });
  }
  return controller.signal;
}

// Last, so that everything above is there.
process.exit(await main(process.argv.slice(2)));
