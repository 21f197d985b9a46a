import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A release of the suite and its arguments. */
export interface Suite {
  program: string;
  args: string[];
}

/** Every scenario for servers with sessions. */
export const sessionSuite: Suite = {
  program: import.meta.resolve("@modelcontextprotocol/conformance/dist/index.js").replace("file://", ""),
  args: ["--suite", "all"],
};

/** Every scenario of the stateless revision. */
export const statelessSuite: Suite = {
  program: import.meta.resolve("conformance-next/dist/index.js").replace("file://", ""),
  args: ["--suite", "all", "--spec-version", "2026-07-28"],
};

/** Runs the suite against a server. Returns its results, sorted: `scenario: check: STATUS`. */
export async function runSuite(suite: Suite, url: string): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "dewey-conformance-"));
  try {
    const command = [process.execPath, suite.program, "server", "--url", url, ...suite.args, "-o", folder];
    const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const [output, errors] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    const checks = readdirSync(folder).flatMap((name) => readChecks(join(folder, name), scenarioOf(name)));
    if (checks.length === 0) throw new Error(`the suite has checked nothing:\n${output}\n${errors}`);
    return checks.sort();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A scenario's results are in a folder named after it and the time. */
function scenarioOf(folder: string): string {
  return folder.replace(/^server-/, "").replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, "");
}

function readChecks(folder: string, scenario: string): string[] {
  const checks = JSON.parse(readFileSync(join(folder, "checks.json"), "utf8")) as { id: string; status: string }[];
  return checks.map(({ id, status }) => `${scenario}: ${id}: ${status}`);
}

/** The results that only one of two runs has. */
export function differences(direct: string[], proxied: string[]): string[] {
  const [lost, added] = [without(direct, proxied), without(proxied, direct)];
  return [...lost.map((line) => `- ${line}`), ...added.map((line) => `+ ${line}`)];
}

/** A check may run several times; each result counts. */
function without(lines: string[], others: string[]): string[] {
  const left = [...others];
  return lines.filter((line) => {
    const found = left.indexOf(line);
    if (found !== -1) left.splice(found, 1);
    return found === -1;
  });
}
