import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { groupOf } from "../support/groups.ts";
import { endProcessesWithThisOne } from "../support/leftovers.ts";
import { placeFault, readFaults, readSources } from "./faults.ts";
import type { PlacedFault } from "./faults.ts";

// `bun run mutants [--jobs N] [TEXT …]` applies one small fault at a time, all or those with a text in their names, to a
// copy of the project, and runs the tests that ought to notice it. It fails when one goes unnoticed or cannot be applied.

/** A fault may make its tests hang; they have this long, many times what they take without one. */
const DEADLINE_MS = 600_000;
/** Tests of the faults mostly wait, but those with a database keep two cores busy. */
const CORES_A_JOB = 2;

const root = join(import.meta.dir, "../..");

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { jobs: { type: "string", default: `${Math.max(1, Math.floor(availableParallelism() / CORES_A_JOB))}` } },
});
endProcessesWithThisOne();
const folder = mkdtempSync(join(tmpdir(), "dewey-mutants-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => process.exit(1));
// PostgreSQL's own user passes through it when this runs as root.
chmodSync(folder, 0o711);
process.exit((await main()) ? 0 : 1);

/** Returns whether every fault was noticed. */
async function main(): Promise<boolean> {
  const sources = readSources();
  const placed: PlacedFault[] = [];
  const count = { noticed: 0, unnoticed: 0, "not applied": 0 };
  for (const fault of readFaults().filter(({ name }) => isChosen(name))) {
    const place = placeFault(fault, sources);
    if (typeof place !== "string") placed.push(place);
    else report("not applied", fault.name, place);
  }
  const copies = Array.from({ length: Number(values.jobs) }, (_, job) => makeCopy(`${job}`));
  const [first] = copies;
  if (first === undefined) throw new Error("--jobs wants a number from 1 on");
  await expectNoFault(first, placed);
  const rest = placed.values();
  await Promise.all(
    copies.map(async (copy) => {
      // The jobs share the iterator: each takes the next fault that is left.
      for (const each of rest) report(...(await apply(copy, each)));
    }),
  );
  console.log(
    Object.entries(count)
      .map(([what, number]) => `${number} ${what}`)
      .join(", "),
  );
  return count.noticed > 0 && count.unnoticed === 0 && count["not applied"] === 0;

  function report(outcome: keyof typeof count, name: string, detail: string): void {
    count[outcome] += 1;
    console.log(`${outcome === "noticed" ? outcome : outcome.toUpperCase()}: ${name} (${detail})`);
  }
}

function isChosen(name: string): boolean {
  return positionals.length === 0 || positionals.some((text) => name.includes(text));
}

/** A copy of the project that shares what no fault changes: the packages and the engine's archive. */
function makeCopy(name: string): string {
  const copy = join(folder, name);
  const parts = readdirSync(root).filter((part) => ![".git", "node_modules", "dist"].includes(part));
  for (const part of parts) cpSync(join(root, part), join(copy, part), { recursive: true });
  for (const part of ["dist", "tmp"]) mkdirSync(join(copy, part), { mode: 0o711 });
  for (const shared of ["node_modules", "dist/engine"]) symlinkSync(join(root, shared), join(copy, shared));
  return copy;
}

/** Without a fault the tests pass, or what they notice means nothing. */
async function expectNoFault(copy: string, placed: PlacedFault[]): Promise<void> {
  const { passed, output } = await runTests(copy, [...new Set(placed.flatMap(({ tests }) => tests))]);
  if (passed) return;
  console.error(output);
  throw new Error("the tests fail without any fault");
}

type Outcome = ["noticed" | "unnoticed" | "not applied", name: string, detail: string];

async function apply(copy: string, { fault, file, text, tests }: PlacedFault): Promise<Outcome> {
  const startedMs = performance.now();
  writeFileSync(join(copy, file), text);
  const { passed, output } = await runTests(copy, tests);
  cpSync(join(root, file), join(copy, file));
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  if (passed) return ["unnoticed", fault.name, file];
  const failed = /^\(fail\) (.*?)( \[[\d.]+ms\])?$/m.exec(output)?.[1];
  return failed === undefined
    ? ["not applied", fault.name, `${file}: no test ran: ${output.trim().split("\n").at(-1)}`]
    : ["noticed", fault.name, `${file}, ${seconds} s, by: ${failed}`];
}

/** Runs test files in a copy, with a binary built from it where one of them drives it. */
async function runTests(copy: string, tests: string[]): Promise<{ passed: boolean; output: string }> {
  if (tests.some((file) => groupOf(file) === "e2e")) {
    const built = await runBun(copy, ["src/build/build.ts"]);
    if (!built.passed) return built;
  }
  return runBun(copy, ["test", "--bail", ...tests.map((file) => `./${file}`)]);
}

async function runBun(copy: string, args: string[]): Promise<{ passed: boolean; output: string }> {
  const child = Bun.spawn([process.execPath, ...args], {
    cwd: copy,
    env: { ...process.env, TMPDIR: join(copy, "tmp") },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: DEADLINE_MS,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const hung = child.signalCode === "SIGKILL" ? "\n(fail) no end of the tests in time" : "";
  return { passed: code === 0, output: `${stdout}${stderr}${hung}` };
}
