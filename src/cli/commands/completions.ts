import type { Command } from "../command.ts";
import { flagsOf, usageError } from "../command.ts";

const shells = { bash, zsh, fish };

/** Takes the command list lazily, because the list contains this command. */
export function completionsOf(commands: () => Promise<readonly Command[]>): Command {
  const completions: Command = {
    name: "completions",
    summary: "prints a script with which a shell completes Dewey's commands and flags",
    usage: ["dewey completions bash|zsh|fish"],
    examples: ["dewey completions bash"],
    about: [
      "bash: dewey completions bash > ~/.local/share/bash-completion/completions/dewey",
      "zsh:  dewey completions zsh > _dewey (in a folder of $fpath)",
      "fish: dewey completions fish > ~/.config/fish/completions/dewey.fish",
    ].join("\n"),
    settings: [],
    flags: {},
    operands: 1,
    async run({ operands, print }) {
      const [shell = ""] = operands;
      const script = Object.entries(shells).find(([name]) => name === shell)?.[1];
      if (script === undefined) throw usageError(completions, "needs the name of a shell: bash, zsh or fish");
      print(script((await commands()).map(words)));
      return 0;
    },
  };
  return completions;
}

interface CommandWords {
  name: string;
  summary: string;
  flags: { name: string; summary: string; takesValue: boolean }[];
}

function words(command: Command): CommandWords {
  const flags = Object.entries(flagsOf(command)).map(([name, { summary, value }]) => ({
    name: `--${name}`,
    summary,
    takesValue: value !== undefined,
  }));
  return { name: command.name, summary: command.summary, flags };
}

/** Completes commands and their flags; leaves the rest to the shell, which completes files. */
function bash(commands: CommandWords[]): string {
  const cases = commands.map(
    ({ name, flags }) => `    ${name}) words="${flags.map((flag) => flag.name).join(" ")}" ;;`,
  );
  return `_dewey() {
  local word="\${COMP_WORDS[COMP_CWORD]}" words=""
  if [ "$COMP_CWORD" = 1 ] || [ "\${COMP_WORDS[1]}" = help ]; then
    COMPREPLY=($(compgen -W "${["help", ...commands.map(({ name }) => name)].join(" ")}" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
  esac
  COMPREPLY=()
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$words --help" -- "$word")) ;;
  esac
}
complete -o default -F _dewey dewey
`;
}

function zsh(commands: CommandWords[]): string {
  const list = commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`).join("\n");
  const cases = commands.map(({ name, flags }) => {
    const specs = flags.map((flag) => {
      const summary = flag.summary.replaceAll(/[[\]:\\]/g, "\\$&");
      return quoted(`${flag.name}[${summary}]${flag.takesValue ? ":value:_files" : ""}`);
    });
    return `    ${name}) _arguments ${[...specs, "'*:operand:_files'"].join(" ")} ;;`;
  });
  return `#compdef dewey
_dewey() {
  local -a commands
  commands=(
${list}
  )
  if (( CURRENT == 2 )) || [[ $words[2] == help ]]; then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join("\n")}
  esac
}
if [[ $funcstack[1] == _dewey ]]; then _dewey "$@"; else compdef _dewey dewey; fi
`;
}

function fish(commands: CommandWords[]): string {
  const names = commands.map(({ name }) => name).join(" ");
  const first = `"not __fish_seen_subcommand_from ${names}"`;
  const lines = commands.flatMap(({ name, summary, flags }) => [
    `complete -c dewey -f -n ${first} -a ${name} -d ${quoted(summary)}`,
    ...flags.map((flag) => {
      const value = flag.takesValue ? " -r" : "";
      const condition = `"__fish_seen_subcommand_from ${name}"`;
      return `complete -c dewey -n ${condition} -l ${flag.name.slice(2)}${value} -d ${quoted(flag.summary)}`;
    }),
  ]);
  return `${lines.join("\n")}\n`;
}

/** Quotes a text for all three shells: in single quotes, with a typographic apostrophe for each one inside. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "’")}'`;
}
