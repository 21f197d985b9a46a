import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { testFiles } from "../support/groups.ts";

const root = join(import.meta.dir, "../..");

const fault = z.strictObject({
  /** The module, a colon, and the effect in a few words. */
  name: z.string().min(1),
  /** A text that occurs exactly once in `src` and `sql`. */
  find: z.string().min(1),
  replace: z.string(),
  /** Names of the test files that ought to notice it, such as `pace.test.ts`; with a folder where the name is ambiguous. */
  tests: z.array(z.string()).min(1),
});

/** A small change that breaks the source, and the tests that ought to notice it. */
export type Fault = z.infer<typeof fault>;

/** A fault located in the project; paths are relative to the root. */
export interface PlacedFault {
  fault: Fault;
  file: string;
  /** The file's text with the fault in it. */
  text: string;
  tests: string[];
}

/** The faults of all lists in this folder. Throws with the list's name when a list is malformed. */
export function readFaults(): Fault[] {
  return [...new Bun.Glob("*.json").scanSync({ cwd: import.meta.dir })].sort().flatMap((list) => {
    const { success, data, error } = z
      .array(fault)
      .safeParse(JSON.parse(readFileSync(join(import.meta.dir, list), "utf8")));
    if (!success) throw new Error(`${list}: ${z.prettifyError(error)}`);
    return data;
  });
}

/** The texts that faults may change, by path. */
export function readSources(): Map<string, string> {
  const paths = [...new Bun.Glob("{src,sql}/**/*.{ts,sql}").scanSync({ cwd: root })];
  return new Map(paths.map((path) => [path, readFileSync(join(root, path), "utf8")]));
}

/** Locates a fault, or returns the reason why it cannot be applied. */
export function placeFault(fault: Fault, sources: Map<string, string>, tests = testFiles()): PlacedFault | string {
  const places = [...sources].flatMap(([file, text]) =>
    Array.from({ length: text.split(fault.find).length - 1 }, () => file),
  );
  const [file, second] = places;
  if (file === undefined) return "its text is not found";
  if (second !== undefined) return `its text is found ${places.length} times: in ${[...new Set(places)].join(", ")}`;
  const named = fault.tests.map((name) => ({ name, paths: tests.filter((path) => isNamed(path, name)) }));
  for (const { name, paths } of named) {
    if (paths.length === 0) return `there is no test ${name}`;
    if (paths.length > 1) return `${name} names ${paths.length} tests, so name its folder too: ${paths.join(", ")}`;
  }
  const text = (sources.get(file) ?? "").replace(fault.find, () => fault.replace);
  const mistake = file.endsWith(".ts") ? syntaxError(text) : undefined;
  if (mistake !== undefined) return `it does not parse: ${mistake}`;
  return { fault, file, text, tests: named.flatMap(({ paths }) => paths) };
}

function isNamed(path: string, name: string): boolean {
  return `/${path}`.endsWith(`/${name}`);
}

const transpiler = new Bun.Transpiler({ loader: "ts" });

/** A fault that does not parse fails every test and so proves nothing. */
function syntaxError(text: string): string | undefined {
  try {
    transpiler.transformSync(text);
    return undefined;
  } catch (error) {
    return String(error);
  }
}
