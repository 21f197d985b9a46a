import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { launcher } from "../../../src/build/release/npm.ts";
import { plainEnvironment, temporaryHome } from "../../support/home.ts";
import { startProgram } from "../../support/running.ts";

const platform = `dewey-mcp-${process.platform}-${process.arch}`;
const node = Bun.which("node");

/** The packages as npm lays them; the program is a script of the shell. */
function lay(folder: string, program: string | undefined, platforms = [platform]): string {
  const place = join(folder, "node_modules/dewey-mcp");
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, "dewey.mjs"), launcher());
  const optionalDependencies = Object.fromEntries(platforms.map((name) => [name, "1.0.0"]));
  const manifest = { name: "dewey-mcp", version: "1.0.0", optionalDependencies };
  writeFileSync(join(place, "package.json"), JSON.stringify(manifest));
  if (program === undefined) return join(place, "dewey.mjs");
  const bin = join(folder, "node_modules", platform, "bin");
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "dewey"), `#!/bin/sh\n${program}\n`, { mode: 0o755 });
  return join(place, "dewey.mjs");
}

describe.skipIf(node === null)("the program of the package on npm", () => {
  const launch = (path: string, home: string, ...args: string[]) =>
    startProgram(node ?? "", [path, ...args], plainEnvironment(home));

  test("runs the platform's, with its arguments, output and exit code", async () => {
    using home = temporaryHome();
    await using running = launch(lay(home.path, 'echo "got $*"; exit 3'), home.path, "search", "a b");
    expect(await running.process.exited).toBe(3);
    expect(running.stdout()).toBe("got search a b\n");
  });

  test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
    "passes %s on, and ends with what it ends with",
    async (signal) => {
      using home = temporaryHome();
      const name = signal.slice("SIG".length);
      const program = `trap 'echo stopped; exit 7' ${name}; echo ready; while :; do sleep 0.05; done`;
      await using running = launch(lay(home.path, program), home.path);
      await running.until("stdout", /ready/);
      expect(await running.stop(signal)).toBe(7);
      expect(running.stdout()).toContain("stopped");
    },
  );

  test("says which package is missing, or that there is none for this platform", async () => {
    using home = temporaryHome();
    await using without = launch(lay(home.path, undefined), home.path);
    expect(await without.process.exited).toBe(1);
    expect(without.stderr()).toContain(`its package ${platform} is not installed`);
    await using foreign = launch(lay(home.path, undefined, ["dewey-mcp-plan9-x64"]), home.path);
    expect(await foreign.process.exited).toBe(1);
    expect(foreign.stderr()).toContain(
      `there is none for ${process.platform}-${process.arch}; there are dewey-mcp-plan9-x64`,
    );
  });
});
