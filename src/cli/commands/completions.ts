import { obeyed } from "../../config.ts";
import type { Command } from "../command.ts";
import type { NameKind } from "../completed-names.ts";
import { flagsOf, usageError } from "../command.ts";

const shells = { bash, zsh, fish };

/** Takes the command list lazily, because the list contains this command. */
export function completionsOf(commands: () => Promise<readonly Command[]>): Command {
  const completions: Command = {
    name: "completions",
    summary: "prints a script with which a shell completes commands, flags and names",
    usage: ["dewey completions bash|zsh|fish"],
    examples: ["dewey completions bash"],
    about: [
      "bash: dewey completions bash > ~/.local/share/bash-completion/completions/dewey",
      "zsh:  dewey completions zsh > _dewey (in a folder of $fpath)",
      "fish: dewey completions fish > ~/.config/fish/completions/dewey.fish",
    ].join("\n"),
    settings: obeyed.client,
    flags: { names: { value: "KIND", summary: "for the scripts: print the names that begin with the text after --" } },
    operands: 1,
    async run(invocation) {
      const { operands, flags, rest, print } = invocation;
      if (typeof flags["names"] === "string") {
        const { completedNames } = await import("../completed-names.ts");
        for (const [name, meaning] of await completedNames(flags["names"], rest?.[0] ?? "", invocation))
          print(`${name}\t${meaning}\n`);
        return 0;
      }
      const [shell = ""] = operands;
      const script = Object.entries(shells).find(([name]) => name === shell)?.[1];
      if (script === undefined) throw usageError(completions, "needs the name of a shell: bash, zsh or fish");
      print(script((await commands()).map(words)));
      return 0;
    },
  };
  return completions;
}

/** What stands after a flag. */
const flagKinds: Record<string, NameKind> = {
  "--client": "clients",
  "--conversation": "ids",
  "--folder": "folders",
  "--branch": "branches",
  "--title": "titles",
};
/** What stands after a command; after a word of `dewey context` stands a context. */
const operandKinds: Record<string, NameKind> = {
  show: "ids",
  resume: "ids",
  star: "ids",
  unstar: "ids",
  rename: "ids",
  rm: "ids",
  context: "contexts",
};
/** The first words after a command, where they are always the same. */
const firstWords: Record<string, string> = {
  connect: "claude-code codex gemini",
  disconnect: "claude-code codex gemini",
  context: "list show edit use history restore rm",
  completions: "bash zsh fish",
  unit: "serve proxy watch",
};

interface CommandWords {
  name: string;
  summary: string;
  flags: CompletedFlag[];
}

interface CompletedFlag {
  name: string;
  summary: string;
  takesValue: boolean;
  takesFile: boolean;
  kind: NameKind | undefined;
  choices: string | undefined;
}

function words(command: Command): CommandWords {
  const flags = Object.entries(flagsOf(command)).map(([name, { summary, value, choices }]) => ({
    name: `--${name}`,
    summary,
    takesValue: value !== undefined,
    takesFile: value !== undefined && /^(?:FILE|FOLDER)$/.test(value),
    kind: value === undefined ? undefined : flagKinds[`--${name}`],
    choices: choices?.join(" "),
  }));
  return { name: command.name, summary: command.summary, flags };
}

/** Completes commands, flags, names and choices; leaves operands and values that are files to the shell. */
function bash(commands: CommandWords[]): string {
  const cases = commands.map(
    ({ name, flags }) => `    ${name}) words="${flags.map((flag) => flag.name).join(" ")}" ;;`,
  );
  const choices = commands.flatMap(({ name, flags }) =>
    flags.flatMap((flag) =>
      flag.choices === undefined ? [] : [`    "${name} ${flag.name}") choices="${flag.choices}" ;;`],
    ),
  );
  const others = commands.flatMap(({ flags }) => flags.filter((flag) => flag.takesValue && !flag.takesFile));
  const texts = new Set(others.filter(({ kind }) => kind === undefined).map(({ name }) => name));
  const after = Object.entries(flagKinds).map(([flag, kind]) => `    ${flag}) kind=${kind} ;;`);
  const operands = Object.entries(operandKinds).map(([name, kind]) => `    ${name}) kind=${kind} ;;`);
  const first = Object.entries(firstWords).map(([name, words]) => `    ${name}) first="${words}" ;;`);
  return `_dewey() {
  local word="\${COMP_WORDS[COMP_CWORD]}" words="" kind="" first="" choices="" name
  if [ "$COMP_CWORD" = 1 ] || [ "\${COMP_WORDS[1]}" = help ]; then
    COMPREPLY=($(compgen -W "${["help", ...commands.map(({ name }) => name)].join(" ")}" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
  esac
  COMPREPLY=()
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$words --help" -- "$word")); return ;;
  esac
  case "\${COMP_WORDS[1]} \${COMP_WORDS[COMP_CWORD-1]}" in
${choices.join("\n")}
  esac
  if [ -n "$choices" ]; then COMPREPLY=($(compgen -W "$choices" -- "$word")); return; fi
  case "\${COMP_WORDS[1]}" in
${operands.join("\n")}
  esac
  case "\${COMP_WORDS[1]}" in
${first.join("\n")}
  esac
  case "\${COMP_WORDS[COMP_CWORD-1]}" in
${after.join("\n")}
    ${[...texts].join("|")}) compopt +o default 2>/dev/null; return ;;
    *) if [ "$COMP_CWORD" = 2 ] && [ -n "$first" ]; then COMPREPLY=($(compgen -W "$first" -- "$word")); return; fi ;;
  esac
  [ -n "$kind" ] || return
  compopt +o default 2>/dev/null
  while IFS=$'\\t' read -r name _; do
    COMPREPLY+=("$(printf %q "$name")")
  done < <("\${COMP_WORDS[0]}" completions --names "$kind" -- "$word" 2>/dev/null)
}
complete -o default -F _dewey dewey
`;
}

function zsh(commands: CommandWords[]): string {
  const list = commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`).join("\n");
  const cases = commands.map(({ name, flags }) => {
    const specs = flags.map((flag) => {
      const summary = flag.summary.replaceAll(/[[\]:\\]/g, "\\$&");
      return quoted(`${flag.name}[${summary}]${valueOf(flag)}`);
    });
    const kind = operandKinds[name];
    const operand = quoted(`*:name:${kind === undefined ? "_files" : `{_dewey_names ${kind}}`}`);
    const first = firstWords[name] === undefined ? [] : [quoted(`1:word:(${firstWords[name]})`)];
    return `    ${name}) _arguments ${[...specs, ...first, operand].join(" ")} ;;`;
  });
  return `#compdef dewey
_dewey_names() {
  local -a names meanings
  local line
  for line in \${(f)"$(dewey completions --names $1 -- "$PREFIX" 2>/dev/null)"}; do
    names+=("\${line%%$'\\t'*}")
    meanings+=("\${line/$'\\t'/  }")
  done
  (( $#names )) && compadd -U -d meanings -a names
}
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

function valueOf({ takesValue, takesFile, kind, choices }: CompletedFlag): string {
  if (!takesValue) return "";
  if (choices !== undefined) return `:value:(${choices})`;
  if (kind !== undefined) return `:value:{_dewey_names ${kind}}`;
  return takesFile ? ":value:_files" : ":value: ";
}

function fish(commands: CommandWords[]): string {
  const names = commands.map(({ name }) => name).join(" ");
  const first = `"not __fish_seen_subcommand_from ${names}"`;
  const lines = commands.flatMap(({ name, summary, flags }) => [
    `complete -c dewey -f -n ${first} -a ${name} -d ${quoted(summary)}`,
    ...flags.map((flag) => {
      const value = flag.takesValue ? ` -r${flag.takesFile ? "" : " -f"}${valuesInFish(flag)}` : "";
      const condition = `"__fish_seen_subcommand_from ${name}"`;
      return `complete -c dewey -n ${condition} -l ${flag.name.slice(2)}${value} -d ${quoted(flag.summary)}`;
    }),
    ...operandsInFish(name),
  ]);
  return `${lines.join("\n")}\n`;
}

function operandsInFish(name: string): string[] {
  const condition = `"__fish_seen_subcommand_from ${name}"`;
  const kind = operandKinds[name];
  const words = firstWords[name];
  return [
    ...(words === undefined
      ? []
      : [
          `complete -c dewey -f -n "__fish_seen_subcommand_from ${name}; and not __fish_seen_subcommand_from ${words}" -a ${quoted(words)}`,
        ]),
    ...(kind === undefined ? [] : [`complete -c dewey -f -n ${condition} -a ${namesInFish(kind)}`]),
  ];
}

function valuesInFish({ kind, choices }: CompletedFlag): string {
  if (choices !== undefined) return ` -a ${quoted(choices)}`;
  return kind === undefined ? "" : ` -a ${namesInFish(kind)}`;
}

function namesInFish(kind: NameKind): string {
  return quoted(`(dewey completions --names ${kind} -- (commandline -ct) 2>/dev/null)`);
}

/** Quotes a text for all three shells: in single quotes, with a typographic apostrophe for each one inside. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "’")}'`;
}
