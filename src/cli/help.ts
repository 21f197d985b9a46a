import { settings } from "../settings.ts";
import { flagsOf } from "./command.ts";
import type { Command } from "./command.ts";

/** The output of `dewey --help`. */
export function overview(commands: readonly Command[], version: string): string {
  return [
    `dewey ${version}: keeps what AI clients and MCP servers say to each other, and finds it again.`,
    "",
    "usage: dewey COMMAND [flags]",
    "",
    ...columns(commands.map((command) => [command.name, command.summary])),
    "",
    "dewey help COMMAND shows the flags and variables of a command; dewey --version prints the version.",
    "",
  ].join("\n");
}

/** The output of `dewey help COMMAND`, generated from the tables that the command obeys. */
export function manual(command: Command): string {
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
    command.summary,
    "",
    ...command.usage.map((form, index) => `${index === 0 ? "usage:" : "      "} ${form}`),
    ...(command.about === undefined ? [] : ["", command.about]),
    ...(flags.length > 0 ? ["", "flags:", ...columns(flags)] : []),
    ...(variables.length > 0 ? ["", "environment (a flag overrides its variable):", ...columns(variables)] : []),
    "",
  ].join("\n");
}

function columns(rows: [string, string][]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
