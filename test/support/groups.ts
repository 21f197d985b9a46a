import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

const root = join(import.meta.dir, "../..");

/**
 * Test files are grouped by what their imports lead to:
 * - `e2e`: the compiled binary, or the packing of PostgreSQL, which may use the network;
 * - `store`: PostgreSQL, recognized by its archive, which all code that starts it imports;
 * - `growth`: neither; the tests that hold code to linear time, which take most of the processor, in files named `linear`;
 * - `unit`: the others.
 */
export const groups = ["unit", "growth", "store", "e2e"] as const;
export type Group = (typeof groups)[number];

const needs: [Group, string[]][] = [
  ["e2e", ["test/support/binary.ts", "src/build/engine.ts"]],
  ["store", ["dist/engine/postgres.tar.zst"]],
];

/** All test files, as paths relative to the project's root. */
export function testFiles(): string[] {
  return [...new Bun.Glob("test/**/*.test.ts").scanSync({ cwd: root })].sort();
}

export function groupOf(file: string): Group {
  const reached = reachedFrom(file);
  const needed = needs.find(([, paths]) => paths.some((path) => reached.has(path)))?.[0];
  return needed ?? (basename(file) === "linear.test.ts" ? "growth" : "unit");
}

const transpiler = new Bun.Transpiler({ loader: "ts" });
const importsByFile = new Map<string, string[]>();

/** The files of the project that loading a file loads, including itself. */
function reachedFrom(file: string): Set<string> {
  const reached = new Set([file]);
  for (const each of reached) for (const path of importsOf(each)) reached.add(path);
  return reached;
}

/** Static imports only: type imports do not exist at run time, and dynamic imports are not loaded with the file. */
function importsOf(file: string): string[] {
  if (!file.endsWith(".ts")) return [];
  const known = importsByFile.get(file);
  if (known) return known;
  const imports = transpiler.scanImports(readFileSync(join(root, file), "utf8"));
  const paths = imports
    .filter(({ kind, path }) => kind === "import-statement" && path.startsWith("."))
    .map(({ path }) => join(dirname(file), path));
  importsByFile.set(file, paths);
  return paths;
}
