import { relative } from "node:path";
import { commandNames } from "./commands.ts";
import { binaryPath } from "./self.ts";
import { shellWord } from "./shell-word.ts";

/** Dewey's commands in a text, but for those at the end of a path or within a word. */
const COMMANDS = new RegExp(
  String.raw`(?<![\w./:\\-])dewey (?=(?:help|--help|--version|${commandNames.join("|")})\b)`,
  "g",
);

/** The program that runs, and where a person looks for it. */
export interface Whereabouts {
  /** Its path; undefined when it runs from source. */
  program: string | undefined;
  path: string | undefined;
  folder: string;
}

/** This process's. */
export function whereabouts(env: Record<string, string | undefined>): Whereabouts {
  return { program: binaryPath(), path: env["PATH"], folder: process.cwd() };
}

/**
 * How a person here types Dewey's name: by its path when it is not on the PATH, such as `./dist/dewey` in a clone, since what a
 * hint names should work when it is copied.
 */
export function typedName({ program, path, folder }: Whereabouts): string {
  if (program === undefined || Bun.which("dewey", { PATH: path ?? "" }) !== null) return "dewey";
  const below = relative(folder, program);
  return shellWord(below.startsWith("..") ? program : `./${below}`);
}

/** The text with Dewey's commands as a person types them here. It must be Dewey's own, since what others wrote stays as it is. */
export function typedAs(name: string, text: string): string {
  return name === "dewey" ? text : text.replaceAll(COMMANDS, () => `${name} `);
}
