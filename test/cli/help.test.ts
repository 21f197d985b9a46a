import { describe, expect, test } from "bun:test";
import { allCommands } from "../../src/cli/commands.ts";
import { manual, overview } from "../../src/cli/help.ts";
import { settings } from "../../src/settings.ts";

const commands = await allCommands();

describe("help", () => {
  test("fits 80 columns", () => {
    for (const text of [overview(commands, "10.10.10"), ...commands.map((command) => manual(command))])
      for (const line of text.split("\n")) expect(Bun.stringWidth(line), line).toBeLessThanOrEqual(80);
  });

  test("says of each flag and variable of a command something else", () => {
    const status = commands.find(({ name }) => name === "status");
    expect(status && manual(status)).toMatch(/^ {2}--port PORT +the proxy's port$/m);
    for (const command of commands) {
      const summaries = command.settings.map((name) => settings[name].summary);
      expect(summaries.length, command.name).toBe(new Set(summaries).size);
    }
  });

  test("has examples of each command, which begin with a name that there is", () => {
    for (const command of commands) {
      expect(command.examples.length, command.name).toBeGreaterThan(0);
      expect(manual(command)).toContain(`\n  ${command.examples[0]}\n`);
      for (const example of command.examples)
        expect(commands.map(({ name }) => `dewey ${name}`)).toContain(example.split(" ").slice(0, 2).join(" "));
    }
  });
});
