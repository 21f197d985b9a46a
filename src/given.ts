import { DeweyError } from "./errors.ts";
import { NotAFile, readPlainFile } from "./plain-file.ts";
import { Unfit } from "./setting-values.ts";
import { settings } from "./settings.ts";
import type { Setting, SettingName } from "./settings.ts";

// Reads settings from flags, the environment and files, and reports all mistakes at once.

/** The environment and the flags of a command, by name. */
export interface Sources {
  env: Record<string, string | undefined>;
  flags: Record<string, string | boolean | string[] | undefined>;
}

/** Values of settings by name; undefined where no value was given and there is no default. */
export type Values<Name extends SettingName> = {
  [Key in Name]: (typeof settings)[Key] extends { default: string }
    ? ReturnType<(typeof settings)[Key]["parse"]>
    : ReturnType<(typeof settings)[Key]["parse"]> | undefined;
};

/** Reads values and collects mistakes, so that all of them can be reported at once. */
export interface SettingsReader {
  read<Name extends SettingName>(names: readonly Name[]): Values<Name>;
  problem(name: string, message: string): void;
}

/** Stops `build` before it uses wrong values. */
class Mistakes extends Error {}

/** Builds a configuration from its sources. Throws one `invalid` error that names every mistake. */
export function reading<Config extends object>(
  sources: Sources,
  build: (reader: SettingsReader) => Config,
): Readonly<Config> {
  const problems: string[] = [];
  const reader: SettingsReader = {
    read: (names) => readValues(names, sources, problems),
    problem: (name, message) => problems.push(`${name} ${message}`),
  };
  let config: Config | undefined;
  try {
    config = build(reader);
  } catch (error) {
    if (!(error instanceof Mistakes)) throw error;
  }
  if (config === undefined || problems.length > 0) {
    throw new DeweyError("invalid", `The configuration is wrong:\n${problems.map((line) => `  ${line}`).join("\n")}`);
  }
  return Object.freeze(config);
}

function readValues<Name extends SettingName>(
  names: readonly Name[],
  sources: Sources,
  problems: string[],
): Values<Name> {
  const values: Record<string, unknown> = {};
  const before = problems.length;
  for (const name of names) {
    const row: Setting<unknown> = settings[name];
    const given = givenText(row, sources, problems);
    if (given === undefined) continue;
    try {
      values[name] = row.parse(given.text);
    } catch (error) {
      if (!(error instanceof Unfit)) throw error;
      problems.push(`${given.source} ${error.message}${row.secret ? "" : `, not ${JSON.stringify(given.text)}`}`);
    }
  }
  if (problems.length > before) throw new Mistakes();
  return values as Values<Name>;
}

/** The text of a setting and its source: the flag, else the variable, else the file, else the default. */
function givenText(
  row: Setting<unknown>,
  sources: Sources,
  problems: string[],
): { text: string; source: string } | undefined {
  const flag = row.flag === undefined ? undefined : sources.flags[row.flag];
  if (typeof flag === "string") return { text: flag, source: `--${row.flag}` };
  // An empty variable counts as not set: compose files and systemd units pass unset variables that way.
  const variable = sources.env[row.env] || undefined;
  const file = row.secret ? sources.env[`${row.env}_FILE`] || undefined : undefined;
  const content = file === undefined ? undefined : secretFile(`${row.env}_FILE`, file, problems);
  if (variable !== undefined && content !== undefined)
    problems.push(`${row.env} and ${row.env}_FILE are both given; give one`);
  if (variable !== undefined) return { text: variable, source: row.env };
  if (content !== undefined) return { text: content, source: `${row.env}_FILE` };
  return row.default === undefined ? undefined : { text: row.default, source: row.env };
}

/** A secret from its file, without the line end that editors add. An empty file counts as not set. */
function secretFile(name: string, file: string, problems: string[]): string | undefined {
  try {
    return readPlainFile(file).replace(/\r?\n$/, "") || undefined;
  } catch (error) {
    const kind = error instanceof NotAFile ? "regular file, which can be read again" : "readable file";
    problems.push(`${name} should be a ${kind}, not ${JSON.stringify(file)}`);
    return undefined;
  }
}
