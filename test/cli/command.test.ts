import { describe, expect, test } from "bun:test";
import { choiceFlag, inWordsOfCommands, limitFlag, numberFlag, wantedOperands } from "../../src/cli/client-command.ts";
import { flagsOf, parseCommandLine } from "../../src/cli/command.ts";
import type { Command, Invocation } from "../../src/cli/command.ts";
import { DeweyError } from "../../src/errors.ts";
import { manual } from "../../src/cli/help.ts";

const command: Command = {
  name: "example",
  summary: "does nothing",
  usage: ["dewey example [NAME]"],
  examples: ["dewey example one"],
  settings: ["port", "proxyPort", "logLevel", "token"],
  flags: { name: { value: "NAME", summary: "a name", many: true }, all: { summary: "everything" } },
  operands: 1,
  run: () => Promise.resolve(0),
};

const invocation = (args: string[]): Invocation => ({
  ...parseCommandLine(command, args),
  env: {},
  version: "0",
  print: () => {},
  typed: (text) => text,
  stopping: new AbortController().signal,
});

describe("a command line", () => {
  test("is parsed into flags and operands, and leaves the arguments after -- alone", () => {
    expect(parseCommandLine(command, ["x", "--all", "--name", "a", "--name", "b", "--", "--all", "y"])).toEqual({
      flags: { all: true, name: ["a", "b"] },
      operands: ["x"],
      rest: ["--all", "y"],
    } as ReturnType<typeof parseCommandLine>);
    expect(parseCommandLine(command, []).rest).toBeUndefined();
  });

  test("is refused with the wrong argument and where to find help", () => {
    const help = "; see: dewey help example";
    expect(() => parseCommandLine(command, ["x", "y"])).toThrow(`dewey example does not take "y"${help}`);
    expect(() => parseCommandLine(command, ["--nonsense"])).toThrow(`dewey example has no flag --nonsense${help}`);
    expect(() => parseCommandLine(command, ["--nmae", "x"])).toThrow("has no flag --nmae (did you mean --name?)");
    expect(() => parseCommandLine(command, ["--name"])).toThrow(`needs a value after --name`);
    expect(() => parseCommandLine(command, ["--name", "-x"])).toThrow(
      "write --name=VALUE for one that begins with a dash",
    );
    expect(() => parseCommandLine(command, ["--all=yes"])).toThrow("takes no value after --all");
  });

  test("has words that begin with one dash as operands where a command wants that", () => {
    const wordy = { ...command, operands: Infinity, dashedOperands: true as const };
    expect(parseCommandLine(wordy, ["backoff", "-retry", "--all", "-'a b'", "--name=-x", "--", "-y"])).toEqual({
      flags: { all: true, name: ["-x"] },
      operands: ["backoff", "-retry", "-'a b'"],
      rest: ["-y"],
    } as ReturnType<typeof parseCommandLine>);
    expect(() => parseCommandLine(command, ["-retry"])).toThrow("has no flag -r");
  });

  test("has no flag that two of the command's settings share", () => {
    expect(Object.keys(flagsOf(command))).toEqual(["log-level", "name", "all"]);
  });
});

describe("a command's help", () => {
  test("shows defaults, and the file variables of secrets", () => {
    const text = manual(command);
    expect(text).toStartWith("does nothing\n\nusage: dewey example [NAME]\n");
    expect(text).toMatch(/^ {2}--name NAME +a name$/m);
    expect(text).toMatch(/^ {2}DEWEY_MCP_PORT .*\(default 9020\)$/m);
    expect(text).toMatch(/^ {2}DEWEY_TOKEN .*\n.* \(or DEWEY_TOKEN_FILE\)$/m);
  });
});

describe("the arguments of a command", () => {
  test("include operands after --, and at least one", () => {
    expect(wantedOperands(command, invocation(["a", "--", "-b"]), "a word")).toEqual(["a", "-b"]);
    expect(() => wantedOperands(command, invocation([]), "a word")).toThrow("dewey example needs a word");
  });

  test("are whole numbers where numbers are expected, and a limit is at least 1", () => {
    const given = (limit: string) => ({ ...invocation([]), flags: { limit } });
    expect(limitFlag(command, given("7"))).toBe(7);
    expect(limitFlag(command, invocation([]))).toBeUndefined();
    expect(() => limitFlag(command, given("0"))).toThrow("a number of at least 1 after --limit");
    for (const wrong of ["", "-1", "1.5", "1e3"]) {
      expect(() => numberFlag(command, given(wrong), "limit")).toThrow("a whole number after --limit");
    }
    expect(() => numberFlag(command, given("9".repeat(10)), "limit")).toThrow("of at most 9 digits after --limit");
  });
});

test("a value that a flag does not take is answered with those it takes, and the one that was meant", () => {
  const given = (sort: string) => ({ ...invocation([]), flags: { sort } });
  expect(choiceFlag(command, given("created"), "sort", ["updated", "created"])).toBe("created");
  expect(choiceFlag(command, invocation([]), "sort", ["updated", "created"])).toBeUndefined();
  expect(() => choiceFlag(command, given("craeted"), "sort", ["updated", "created"])).toThrow(
    'needs updated or created after --sort, not "craeted" (did you mean created?)',
  );
});

test("a field that is a word of the sentence stays one, and is named as a flag where it is the subject", () => {
  const told = (message: string) =>
    inWordsOfCommands(new DeweyError("invalid", message, { field: "turn" }), { "--turn": "turn" }).message;
  expect(told("conversation 1 has no turn 7")).toBe("conversation 1 has no turn 7");
  expect(told("turn should be 1 or more")).toBe("--turn should be 1 or more");
  expect(told("there are more; set turn to see one")).toBe("there are more; set --turn to see one");
});

test("an error of the server names the flags and commands that a person writes", () => {
  const told = (message: string, field: string) =>
    inWordsOfCommands(new DeweyError("invalid", message, { field }), { "--session": "session_id" });
  expect(told("session_id should not be empty", "session_id")).toMatchObject({
    code: "invalid",
    field: "--session",
    message: "--session should not be empty",
  });
  expect(told("there is none; dewey_list_conversations lists the existing ones", "conversation_id").message).toBe(
    "there is none; dewey list lists the existing ones",
  );
});
