import { obeyed, terminalConfig } from "../../config.ts";
import { asDeweyError } from "../../errors.ts";
import { note } from "../checks/finding.ts";
import type { Finding } from "../checks/finding.ts";
import { jsonText } from "../client-command.ts";
import type { Command } from "../command.ts";
import { OutputClosed, standardOutput } from "../output.ts";
import type { Output } from "../output.ts";
import { terminalOf } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";
import { oneLine } from "../../visible.ts";

export const doctor: Command = {
  name: "doctor",
  summary: "checks the installation, and names the remedy for each fault",
  usage: ["dewey doctor [--json]"],
  examples: ["dewey doctor", "dewey doctor --json"],
  about:
    "Prints one line per check: the configuration, the server and its parts, the proxy, and the clients. Exits 1 on any fault.",
  settings: [...new Set([...obeyed.serve, ...obeyed.proxy, ...obeyed.client])],
  flags: { json: { summary: "print JSON, for programs" } },
  operands: 0,
  async run(invocation) {
    const terminal = terminalOf(terminalConfig(invocation.env));
    const out = standardOutput();
    const json = invocation.flags["json"] === true;
    const { checks } = await import("../checks.ts");
    const findings: (Finding & { name: string })[] = [];
    let isRead = true;
    let wrong: string | undefined;
    for (const [name, check] of Object.entries(checks)) {
      const finding = await check(invocation).catch((error: unknown): Finding => ({
        state: "fault",
        text: asDeweyError(error).message,
      }));
      // A wrong configuration stops most checks; it is told once.
      const isTold = finding.state === "fault" && finding.text === wrong;
      if (name === "configuration" && finding.state === "fault") wrong = finding.text;
      const { text, remedy, ...rest } = isTold ? note("not checked: the configuration is wrong") : finding;
      const { typed } = invocation;
      const told = { ...rest, text: typed(text), ...(remedy === undefined ? {} : { remedy: typed(remedy) }) };
      findings.push({ name, ...told });
      if (!json && isRead) isRead = await isTaken(out, line(name, told, terminal));
    }
    if (json) await isTaken(out, jsonText({ checks: findings }));
    return findings.some((finding) => finding.state === "fault") ? 1 : 0;
  },
};

/** Whether someone reads on: `head` takes the first lines only, and the exit code still tells of all checks. */
async function isTaken(out: Output, text: string): Promise<boolean> {
  try {
    await out.write(text);
    return true;
  } catch (error) {
    if (error instanceof OutputClosed) return false;
    throw error;
  }
}

const marks = { ok: ["good", "✓"], note: ["quiet", "·"], fault: ["bad", "✗"] } as const;

function line(
  name: string,
  { state, text, remedy, lines: copied = [] }: Finding,
  { paint, interactive, columns }: Terminal,
): string {
  const [look, mark] = marks[state];
  const said = `${oneLine(text)}${remedy === undefined ? "" : `; ${remedy}`}`;
  const indent = `${mark} ${name.padEnd(NAME_CHARACTERS)}  `.length;
  // On a terminal a long line goes on below its beginning.
  const lines = interactive ? Bun.wrapAnsi(said, Math.max(LEAST_COLUMNS, columns - indent)).split("\n") : [said];
  // What is copied stays on lines of its own, however narrow the terminal is.
  const all = [...lines, ...copied.map(oneLine)].join(`\n${" ".repeat(indent)}`);
  return `${paint(look, `${mark} ${name.padEnd(NAME_CHARACTERS)}`)}  ${all}\n`;
}

/** Narrower columns break every word. */
const LEAST_COLUMNS = 20;

/** The length of the longest name of a check. */
const NAME_CHARACTERS = 13;
