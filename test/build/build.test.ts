import { describe, expect, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { engineArchive, hostTarget } from "../../src/build/engine.ts";
import { binary, databaseAddress, start } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import { engines, privateCluster } from "../support/postgres.ts";

const root = join(import.meta.dir, "../..");

function build(...args: string[]) {
  const { stdout, stderr, exitCode } = Bun.spawnSync([process.execPath, "src/build/build.ts", ...args], { cwd: root });
  return { stdout: stdout.toString(), stderr: stderr.toString(), exitCode };
}

describe("bun run build", () => {
  test("builds for another platform, with that platform's PostgreSQL", async () => {
    const [target, machine] = process.arch === "x64" ? (["linux-arm64", 183] as const) : (["linux-x64", 62] as const);
    const { stdout, exitCode } = build("--target", target);
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`Built dist/dewey-${target}`);
    const binary = readFileSync(join(root, `dist/dewey-${target}`));
    expect(binary.readUInt16LE(18)).toBe(machine);
    expect(binary.includes(readFileSync(await engineArchive(target)))).toBe(true);
  });

  test("builds without a PostgreSQL a binary that serves a database of its user's, and says what to do without one", async () => {
    const { stdout, exitCode } = build("--no-engine");
    expect(exitCode).toBe(0);
    expect(stdout).toContain("Built dist/dewey-slim");
    const slim = join(root, "dist/dewey-slim");
    const archive = statSync(await engineArchive(hostTarget!)).size;
    expect(statSync(binary).size - statSync(slim).size).toBeGreaterThan(archive * 0.9);
    using home = temporaryHome();
    const env = plainEnvironment(home.path);
    const alone = Bun.spawnSync([slim, "serve", "--port", "0"], { env });
    expect(alone.exitCode).toBe(2);
    expect(alone.stderr.toString()).toContain("set DEWEY_DATABASE_URL");
    expect(Bun.spawnSync([slim, "licenses"], { env }).stdout.toString()).not.toContain(
      "PostgreSQL Database Management",
    );
    await using cluster = await privateCluster(engines[0]!);
    const DEWEY_DATABASE_URL = databaseAddress(cluster.connection);
    await using running = start(["serve", "--port", "0"], { ...env, DEWEY_DATABASE_URL }, undefined, slim);
    await running.until("stderr", /"event":"serving"/);
  });

  test("rejects an unknown platform and names the known ones", () => {
    const { stderr, exitCode } = build("--target", "plan9-x64");
    expect(exitCode).toBe(2);
    expect(stderr).toContain(
      "there is no target plan9-x64; choose one of: linux-x64, linux-arm64, darwin-x64, darwin-arm64",
    );
  });

  test("builds a binary that ignores .env and bunfig.toml of its working directory", () => {
    using folder = temporaryHome();
    writeFileSync(join(folder.path, ".env"), "DEWEY_LOG_LEVEL=nonsense\n");
    writeFileSync(join(folder.path, "bunfig.toml"), 'preload = ["./preload.ts"]\n');
    writeFileSync(join(folder.path, "preload.ts"), 'console.log("preloaded");\n');
    const args = [binary, "health", "--url", "ws://127.0.0.1:1"];
    const { stdout, stderr } = Bun.spawnSync(args, { cwd: folder.path, env: plainEnvironment(folder.path) });
    expect(stdout.toString()).toBe("");
    // It got as far as connecting: an invalid setting would have been reported first.
    expect(stderr.toString()).toContain("nothing answers at ws://127.0.0.1:1");
  });
});
