#!/usr/bin/env node
// Runs the program of this platform, which npm installed as an optional dependency, in its place.
"use strict";
const { spawn } = require("node:child_process");
const { constants } = require("node:os");
const { name, version, optionalDependencies } = require("./package.json");

const platform = `${name}-${process.platform}-${process.arch}`;

function programPath() {
  try {
    return require.resolve(`${platform}/bin/dewey`);
  } catch {
    return undefined;
  }
}

const program = programPath();
if (program === undefined) {
  const remedy = Object.hasOwn(optionalDependencies, platform)
    ? `its package ${platform} is not installed; install ${name} without --omit=optional (on Linux, with glibc)`
    : `there is none for ${process.platform}-${process.arch}; there are ${Object.keys(optionalDependencies).join(", ")}`;
  console.error(`dewey: the program is missing: ${remedy}`);
  process.exit(1);
}

const child = spawn(program, process.argv.slice(2), { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
  process.on(signal, () => {
    // A terminal's Ctrl-C has reached the program already, and a second one would end it at once.
    if (signal !== "SIGINT" || !(process.stdin.isTTY || process.stdout.isTTY)) child.kill(signal);
  });
child.on("error", (error) => {
  console.error(`dewey: ${program} of ${name} ${version} does not start: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
