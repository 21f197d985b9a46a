import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startServerIfAway } from "../../src/cli/local-server.ts";
import { acquireLock } from "../../src/lock.ts";
import { run } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import { freePort } from "../support/ports.ts";
import { until } from "../support/rpc.ts";
import { canMount, smallDisk } from "../support/small-disk.ts";

test("a server that takes connections and does not answer is busy, and no other is started beside it", async () => {
  using home = temporaryHome();
  using busy = Bun.listen({ port: 0, hostname: "127.0.0.1", socket: { data: (socket) => void socket.end() } });
  const asking = { token: undefined, dataDir: home.path, logLevel: "error" as const };
  await startServerIfAway({ ...asking, url: `ws://localhost:${busy.port}` }, {});
  // The log of a server that is started is in its data folder.
  expect(readdirSync(home.path)).toEqual([]);
});

test("a server that ends at its start is told at once, with its reason", async () => {
  using home = temporaryHome();
  const env = { ...plainEnvironment(home.path), DEWEY_URL: `ws://localhost:${freePort()}`, DEWEY_TRASH_DAYS: "many" };
  const { code, stdout, stderr } = await run(["list"], env);
  expect([code, stdout]).toEqual([69, ""]);
  expect(stderr).toMatch(
    /^dewey: no server could be started for ws:\S+: The configuration is wrong: DEWEY_TRASH_DAYS .*\n$/,
  );
  // The log keeps earlier reasons.
  const mended = await run(["list"], { ...env, DEWEY_TRASH_DAYS: "", DEWEY_MCP_HOST: "", DEWEY_DB_PORT: "many" });
  expect(mended.stderr).toContain("DEWEY_DB_PORT");
  expect(mended.stderr).not.toContain("DEWEY_TRASH_DAYS");
});

test("a server that is still ending is waited for, and then another is started", async () => {
  using home = temporaryHome();
  const dataDir = join(home.path, "data");
  const env = { ...plainEnvironment(home.path), DEWEY_URL: `ws://localhost:${freePort()}`, DEWEY_DATA_DIR: dataDir };
  mkdirSync(join(dataDir, "postgres"), { recursive: true });
  const ending = acquireLock(join(dataDir, "postgres", "owner.lock"));
  const listing = run(["list"], env);
  await until("the first one to find the folder in use", () =>
    readFileSync(join(dataDir, "serve.log"), { encoding: "utf8", flag: "a+" }).includes("another Dewey"),
  );
  ending?.release();
  expect(await listing).toMatchObject({ code: 0, stdout: expect.stringContaining("no conversations yet"), stderr: "" });
  expect((await run(["stop"], env)).code).toBe(0);
});

test("a data folder that cannot be made is named with its setting by every command that starts a server", async () => {
  using home = temporaryHome();
  writeFileSync(join(home.path, "file"), "");
  const DEWEY_DATA_DIR = join(home.path, "file", "data");
  const env = { ...plainEnvironment(home.path), DEWEY_URL: `ws://localhost:${freePort()}`, DEWEY_DATA_DIR };
  for (const args of [["list"], ["open", "--print"], ["watch"], ["backup", join(home.path, "x")]]) {
    const { code, stderr } = await run(args, env);
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/^dewey: Dewey cannot write to .*; set DEWEY_DATA_DIR .*\n$/),
    ]);
  }
});

test.skipIf(!canMount)("a full disk is told in words, and nothing is left on it", async () => {
  using disk = smallDisk(8000);
  const env = { ...plainEnvironment(disk.path), DEWEY_URL: `ws://localhost:${freePort()}`, DEWEY_DATA_DIR: disk.path };
  const { code, stderr } = await run(["list"], env);
  expect([code, stderr]).toEqual([69, expect.stringMatching(/the disk is full \(ENOSPC\); set DEWEY_DATA_DIR/)]);
  expect(readdirSync(join(disk.path, "postgres")).toSorted()).toEqual(["owner", "owner.lock"]);
});
