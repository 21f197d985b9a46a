import { cpSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { layEngine } from "../../src/build/engine.ts";
import { groupOf } from "../support/groups.ts";
import { leaveNothing } from "../support/leftovers.ts";
import { placeFault, readFaults, readSources } from "./faults.ts";
import type { PlacedFault } from "./faults.ts";

// `bun run mutants [--jobs N] [TEXT …]` applies small faults to copies of the project, one at a time in each, and runs the
// tests that ought to notice them: all faults, or those with one of the texts in their names. It fails when a fault goes
// unnoticed or cannot be applied.

/** Deadline per test file, because a fault may make tests hang: many times what the slowest file takes. */
const DEADLINE_MS = 600_000;
/** A job's tests and their PostgreSQL keep two cores busy. */
const CORES_A_JOB = 2;

const root = join(import.meta.dir, "../..");

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { jobs: { type: "string", default: `${Math.max(1, Math.floor(availableParallelism() / CORES_A_JOB))}` } },
});
leaveNothing();
await layEngine();
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
  const failing = new Map<string, string>();
  await share(copies, new Set(placed.flatMap(({ tests }) => tests)), async (copy, file) => {
    const { passed, output } = await runTests(copy, [file]);
    if (!passed) failing.set(file, firstFailure(output) ?? "no test ran");
  });
  await share(copies, placed, async (copy, each) => {
    const file = each.tests.find((test) => failing.has(test));
    if (file === undefined) report(...(await apply(copy, each)));
    else report("not applied", each.fault.name, `${file} fails without it: ${failing.get(file)}`);
  });
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
  const copy = join(tmpdir(), name);
  const parts = readdirSync(root).filter((part) => ![".git", "node_modules", "dist"].includes(part));
  for (const part of parts) cpSync(join(root, part), join(copy, part), { recursive: true });
  mkdirSync(join(copy, "dist"));
  for (const shared of ["node_modules", "dist/engine"]) symlinkSync(join(root, shared), join(copy, shared));
  return copy;
}

/** Works through the items, one at a time in each copy. */
async function share<Item>(
  copies: string[],
  items: Iterable<Item>,
  work: (copy: string, item: Item) => Promise<void>,
): Promise<void> {
  // The copies share the iterator: each takes the next remaining item.
  const rest = [...items].values();
  await Promise.all(
    copies.map(async (copy) => {
      for (const item of rest) await work(copy, item);
    }),
  );
}

type Outcome = ["noticed" | "unnoticed" | "not applied", name: string, detail: string];

async function apply(copy: string, { fault, file, text, tests }: PlacedFault): Promise<Outcome> {
  const startedMs = performance.now();
  const original = readFileSync(join(copy, file));
  writeFileSync(join(copy, file), text);
  const { passed, output } = await runTests(copy, tests);
  writeFileSync(join(copy, file), original);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  if (passed) return ["unnoticed", fault.name, file];
  const failed = firstFailure(output);
  return failed === undefined
    ? ["not applied", fault.name, `${file}: no test ran: ${output.trim().split("\n").at(-1)}`]
    : ["noticed", fault.name, `${file}, ${seconds} s, by: ${failed}`];
}

function firstFailure(output: string): string | undefined {
  return /^\(fail\) (.*?)( \[[\d.]+ms\])?$/m.exec(output)?.[1];
}

/** Runs test files in a copy, after building its binary when one of them drives it. */
async function runTests(copy: string, tests: string[]): Promise<{ passed: boolean; output: string }> {
  if (tests.some((file) => groupOf(file) === "e2e")) {
    const built = await runBun(copy, ["src/build/build.ts"], DEADLINE_MS);
    if (!built.passed) return built;
  }
  return runBun(copy, ["test", "--bail", ...tests.map((file) => `./${file}`)], tests.length * DEADLINE_MS);
}

async function runBun(copy: string, args: string[], timeout: number): Promise<{ passed: boolean; output: string }> {
  const child = Bun.spawn([process.execPath, ...args], {
    cwd: copy,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const hung = child.signalCode === "SIGKILL" ? "\n(fail) the tests did not end in time" : "";
  return { passed: code === 0, output: `${stdout}${stderr}${hung}` };
}
