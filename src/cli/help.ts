import { settings } from "../settings.ts";
import { flagsOf } from "./command.ts";
import type { Command, Invocation } from "./command.ts";
import { explained, wrapped } from "./prose.ts";

/** Longer lines of help are hard to read, however wide the terminal is. */
const MAX_COLUMNS = 80;
/** Narrower columns leave no room for explanations. */
const MIN_COLUMNS = 50;

/** The width of help on a terminal of so many columns; for programs and files the longest. */
export function helpWidth(columns: number | undefined): number {
  return Math.max(MIN_COLUMNS, Math.min(MAX_COLUMNS, columns || MAX_COLUMNS));
}
/** Terms longer than this stand on a line of their own, so that their explanations keep enough room. */
const MAX_TERM_CHARACTERS = 28;

/** How help is laid out, and what its hints call the program: see `typed.ts`. */
interface HelpForm {
  width?: number;
  typed?: Invocation["typed"];
}

/** The output of `dewey --help`. */
export function overview(
  commands: readonly Command[],
  version: string,
  { width = MAX_COLUMNS, typed = String }: HelpForm = {},
): string {
  const { lines, columns } = layout(width);
  return [
    ...lines(`dewey ${version}: keeps what AI clients and MCP servers say to each other, and finds it again.`),
    "",
    "usage: dewey COMMAND [flags]",
    "",
    ...columns(commands.map((command) => [command.name, command.summary])),
    "",
    ...lines(
      typed("dewey help COMMAND shows its flags, its variables and examples; dewey --version prints the version."),
    ),
    "",
  ].join("\n");
}

/** The output of `dewey help COMMAND`, generated from the tables that the command obeys. */
export function manual(command: Command, { width = MAX_COLUMNS, typed = String }: HelpForm = {}): string {
  const { lines, columns, usage } = layout(width);
  const flags = Object.entries(flagsOf(command)).map(([name, flag]): [string, string] => [
    `--${name}${flag.value === undefined ? "" : ` ${flag.value}`}`,
    flag.summary,
  ]);
  const variables = command.settings.map((name): [string, string] => {
    const row = settings[name];
    const notes = [row.default ? `default ${row.default}` : "", row.secret ? `or ${row.env}_FILE` : ""].filter(Boolean);
    return [row.env, row.summary + (notes.length > 0 ? ` (${notes.join("; ")})` : "")];
  });
  return [
    ...lines(command.summary),
    "",
    ...command.usage.flatMap((form, index) => usage(form, index === 0)),
    ...(command.about === undefined ? [] : ["", ...lines(typed(command.about))]),
    "",
    command.examples.length === 1 ? "example:" : "examples:",
    ...command.examples.map((example) => `  ${typed(example)}`),
    ...(flags.length > 0 ? ["", "flags:", ...columns(flags)] : []),
    ...(variables.length > 0 ? ["", "environment (a flag overrides its variable):", ...columns(variables)] : []),
    "",
  ].join("\n");
}

/** Lays texts out for a width. */
function layout(width: number) {
  /** One form of the command line, broken between its parts. */
  const usage = (form: string, isFirst: boolean): string[] => {
    const whole = form.replaceAll(/\[[^\]]*\]/g, (part) => part.replaceAll(" ", "\u00A0"));
    const lines = wrappedTo(whole, width - 11).map((line) => line.replaceAll("\u00A0", " "));
    return lines.map(
      (line, index) => `${isFirst && index === 0 ? "usage:" : "      "} ${index === 0 ? "" : "    "}${line}`,
    );
  };
  const columns = (rows: [string, string][]) => explained(rows, width, MAX_TERM_CHARACTERS);
  return { lines: (text: string) => wrappedTo(text, width), usage, columns };
}

/** The lines of a text, broken between words; line breaks of its own stay. */
function wrappedTo(text: string, width: number): string[] {
  return wrapped(text, width).split("\n");
}
