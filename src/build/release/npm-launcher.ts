import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { constants } from "node:os";

// Runs the program of this platform, which npm installed as an optional dependency, in its place. Node runs this file, without its
// types, as `dewey.mjs` of the package on npm; see `npm.ts`.

interface Manifest {
  name: string;
  version: string;
  optionalDependencies: Record<string, string>;
}

const load = createRequire(import.meta.url);
const { name, version, optionalDependencies } = load("./package.json") as Manifest;
const platform = `${name}-${process.platform}-${process.arch}`;
const program = programPath();
if (program === undefined) {
  const there = Object.keys(optionalDependencies);
  fail(
    there.includes(platform)
      ? `its package ${platform} is not installed; install ${name} without --omit=optional (on Linux, with glibc)`
      : `there is none for ${process.platform}-${process.arch}; there are ${there.join(", ")}`,
  );
} else {
  run(program);
}

function programPath(): string | undefined {
  try {
    return load.resolve(`${platform}/bin/dewey`);
  } catch {
    return undefined;
  }
}

function run(path: string): void {
  // Listened to before the program starts: a signal in between would end this process alone and leave the program behind.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      // A terminal's Ctrl-C has reached the program already, and a second one would end it at once.
      const isTerminal = process.stdin.isTTY || process.stdout.isTTY;
      if (signal !== "SIGINT" || !isTerminal) child.kill(signal);
    });
  }
  const child = spawn(path, process.argv.slice(2), { stdio: "inherit" });
  child.on("error", (error) => fail(`${path} of ${name} ${version} does not start (${error.message})`));
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  });
}

function fail(reason: string): void {
  process.stderr.write(`dewey: the program of the package cannot run: ${reason}\n`);
  process.exitCode = 1;
}
