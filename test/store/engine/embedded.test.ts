import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { createLog } from "../../../src/log.ts";
import { bufferSizeMb } from "../../../src/store/engine/cluster.ts";
import { startEmbedded } from "../../../src/store/engine/embedded.ts";
import { placesIn } from "../../../src/store/engine/engine.ts";
import type { Connection } from "../../../src/store/database/connection.ts";
import { failure } from "../../support/failure.ts";
import { connect, temporaryFolder } from "../../support/postgres.ts";
import { quiet } from "../../support/quiet.ts";

interface User {
  uid: number;
  gid: number;
}

const NOBODY: User = { uid: 65_534, gid: 65_534 };
const isRoot = process.getuid?.() === 0;

// A first start takes seconds on a busy machine, and a frozen PostgreSQL is given time to stop.

// Compiled, as in the product: self-contained, and executable by every user.
const programFolder = temporaryFolder();
const host = join(programFolder, "host");
await Bun.build({ entrypoints: [join(import.meta.dir, "../../support/embedded-host.ts")], compile: { outfile: host } });
chmodSync(host, 0o755);

/** A folder shared by tests that need no new one, which saves them the first start. */
const known = temporaryFolder();
afterAll(() => {
  for (const folder of [programFolder, known]) rmSync(folder, { recursive: true, force: true });
});

describe("the embedded PostgreSQL", () => {
  test("listens only on a private socket, flushes every commit, keeps little of its log, and sorts text alike on every machine", async () => {
    await using dewey = await running(known);
    expect(statSync(dewey.connection.host).mode & 0o777).toBe(0o700);
    await using sql = connect(dewey.connection);
    const [settings] = await sql`
      select current_setting('listen_addresses') as listen_addresses, current_setting('fsync') as fsync,
        current_setting('synchronous_commit') as synchronous_commit, current_setting('max_wal_size') as max_wal_size, datname, datlocprovider, datlocale,
        pg_encoding_to_char(encoding) as encoding
      from pg_database where datname = current_database()`;
    expect({ ...settings }).toEqual({
      listen_addresses: "",
      fsync: "on",
      synchronous_commit: "on",
      max_wal_size: "224MB",
      datname: "dewey",
      datlocprovider: "b",
      datlocale: "C.UTF-8",
      encoding: "UTF8",
    });
  });

  test("goes on with the database of a cluster that 0.1 made", async () => {
    using folder = temporary();
    {
      await using dewey = await running(folder.path);
      await using sql = connect({ ...dewey.connection, database: "postgres" });
      await sql`alter database dewey rename to winni`;
    }
    rmSync(join(placesIn(folder.path).cluster, "dewey-database"));
    await using dewey = await running(folder.path);
    await using sql = connect(dewey.connection);
    expect((await sql`select current_database() as name`)[0].name).toBe("winni");
  });

  test("has buffers of the size of its data, within an eighth of the memory", () => {
    const [mb, gb] = [2 ** 20, 2 ** 30];
    expect(bufferSizeMb(40 * mb, 16 * gb)).toBe(128);
    expect(bufferSizeMb(700 * mb, 16 * gb)).toBe(700);
    expect(bufferSizeMb(20 * gb, 16 * gb)).toBe(1024);
    expect(bufferSizeMb(20 * gb, 4 * gb)).toBe(512);
    expect(bufferSizeMb(20 * gb, gb / 2)).toBe(128);
  });

  test("ends when its Dewey is killed with -9, with all its processes", async () => {
    await using dewey = await running(known);
    expect(processesIn(known).length).toBeGreaterThan(2);
    await dewey.kill();
    await until(() => processesIn(known).length === 0);
  });

  test("keeps every acknowledged row when Dewey and PostgreSQL are killed with -9 at once", async () => {
    const acknowledged: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      await using dewey = await running(known);
      await using sql = connect(dewey.connection);
      await sql`create table if not exists rows (n integer primary key)`;
      const target = acknowledged.length + 50 + Math.floor(Math.random() * 200);
      const writing = (async () => {
        for (let n = acknowledged.length; ; n += 1) {
          // The row in flight at the last kill may have been committed without an answer.
          await sql`insert into rows values (${n}) on conflict do nothing`;
          acknowledged.push(n);
        }
      })();
      await Promise.race([writing, until(() => acknowledged.length >= target)]);
      process.kill(postmaster(known), "SIGKILL");
      await dewey.kill();
      await writing.catch(() => {});
    }
    await using dewey = await running(known);
    await using sql = connect(dewey.connection);
    const rows: { n: number }[] = await sql`select n from rows`;
    const kept = new Set(rows.map((row) => row.n));
    expect(acknowledged.filter((n) => !kept.has(n))).toEqual([]);
  });

  test("is restarted whenever it dies", async () => {
    await using dewey = await running(known);
    for (let round = 0; round < 3; round += 1) {
      const before = postmaster(known);
      process.kill(before, "SIGKILL");
      await until(async () => (await answers(dewey.connection)) && postmaster(known) !== before);
    }
  });

  test("refuses a second Dewey and names the first", async () => {
    await using first = await running(known);
    await using second = await started(known);
    expect(second.connection).toBeUndefined();
    expect(await second.stderr()).toContain(`another Dewey (process ${first.pid}) uses ${known}`);
    expect(await answers(first.connection)).toBe(true);
  });

  test("starts when the pid left by a crash belongs to another program", async () => {
    await (await running(known)).stop();
    const { cluster } = placesIn(known);
    const { uid, gid } = statSync(cluster);
    // PostgreSQL is misled by the pid only if the process belongs to the cluster's owner.
    const other = Bun.spawn(["cat"], { stdin: "pipe", ...(isRoot ? { uid, gid } : {}) });
    const file = join(cluster, "postmaster.pid");
    writeFileSync(file, `${other.pid}\n${cluster}\n`);
    chownSync(file, uid, gid);
    await using dewey = await running(known);
    expect(await answers(dewey.connection)).toBe(true);
    await other.stdin.end();
    await other.exited;
  });

  test("unpacks and initialises once, and removes the programs of earlier versions", async () => {
    using folder = temporary();
    mkdirSync(join(folder.path, "engine-17.0.0", "bin"), { recursive: true });
    expect(await (await running(folder.path)).stop()).toEqual(["unpacking", "initializing", "starting"]);
    expect(await (await running(folder.path)).stop()).toEqual(["starting"]);
    const { programs, cluster } = placesIn(folder.path);
    const kept = readdirSync(folder.path).filter((name) => /^(engine|data|unfinished)-/.test(name));
    expect(kept.toSorted()).toEqual([basename(cluster), basename(programs)]);
  });

  test("lets exactly one of several Deweys use an empty folder", async () => {
    using folder = temporary();
    await using stack = new AsyncDisposableStack();
    const deweys = await Promise.all([1, 2, 3, 4].map(async () => stack.use(await started(folder.path))));
    const winners = deweys.filter((each) => each.connection !== undefined);
    expect(winners.length).toBe(1);
    for (const loser of deweys.filter((each) => each.connection === undefined)) {
      expect(await loser.stderr()).toContain(`another Dewey (process ${winners[0]?.pid}) uses ${folder.path}`);
    }
  });

  test("has its socket in /tmp if the folder's path is too long, and leaves nothing there", async () => {
    using folder = temporary();
    const deep = join(folder.path, "x".repeat(120));
    await using killed = await running(deep);
    expect(killed.connection.host).toBe(readlinkSync(join(deep, "socket")));
    await killed.kill();
    await using next = await running(deep);
    expect(existsSync(killed.connection.host)).toBe(false);
    await next.stop();
    expect(existsSync(next.connection.host)).toBe(false);
  });

  test("removes no folder that a foreign link in place of its socket points to", async () => {
    using folder = temporary();
    const other = join(folder.path, "other");
    const precious = join(other, "precious");
    mkdirSync(other);
    writeFileSync(precious, "mine");
    symlinkSync(other, join(folder.path, "socket"));
    await using dewey = await running(folder.path);
    expect(await answers(dewey.connection)).toBe(true);
    expect(readFileSync(precious, "utf8")).toBe("mine");
  });

  test("never logs a statement, which would contain callers' data", async () => {
    using folder = temporary();
    const lines: string[] = [];
    const log = createLog({ level: "debug", format: "text", write: (line) => lines.push(line) });
    const dewey = await startEmbedded({ dataDir: folder.path, log });
    try {
      await using sql = connect(dewey.connection);
      for (const statement of [
        "select 'sesame' / 0",
        "select nothing from sesame",
        "do $$ begin raise 'sesame'; end $$",
      ])
        await sql.unsafe(statement).catch(() => {});
      await sql.unsafe("do $$ begin raise warning 'sesame'; end $$");
      await sql.unsafe("select 'sesame', pg_terminate_backend(pg_backend_pid())").catch(() => {});
    } finally {
      await dewey.stop();
    }
    expect(lines.join("")).toContain("ready to accept connections");
    expect(lines.join("")).toContain("FATAL");
    expect(lines.join("")).not.toContain("sesame");
  });

  test("refuses a folder that another major version of PostgreSQL has made", async () => {
    using folder = temporary();
    mkdirSync(join(folder.path, "data-17"));
    const error = await failure(startEmbedded({ dataDir: folder.path, log: quiet }));
    expect(error.code).toBe("conflict");
    expect(error.message).toContain("data-17 was made by another PostgreSQL");
  });

  test("refuses a folder whose path initdb would give to a shell, and makes nothing there", async () => {
    using folder = temporary();
    for (const name of ['a "b"', "a$HOME", "a`b`", "a\\b"]) {
      const error = await failure(startEmbedded({ dataDir: join(folder.path, name), log: quiet }));
      expect([error.code, error.field]).toEqual(["invalid", "DEWEY_DATA_DIR"]);
      expect(error.message).toContain(`PostgreSQL cannot make a database in ${join(folder.path, name)}, `);
    }
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test("runs in a folder with spaces, an apostrophe and letters of any language", async () => {
    using folder = temporary();
    const embedded = await startEmbedded({ dataDir: join(folder.path, "Ada's daten ö 日本"), log: quiet });
    await embedded.stop();
  });

  test("names the setting to change when it cannot write to its folder", async () => {
    using folder = temporary();
    const file = join(folder.path, "file");
    writeFileSync(file, "");
    const error = await failure(startEmbedded({ dataDir: join(file, "data"), log: quiet }));
    expect(error.code).toBe("invalid");
    expect(error.field).toBe("DEWEY_DATA_DIR");
  });
});

describe.concurrent("the embedded PostgreSQL, at its worst,", () => {
  for (const lane of [1, 2]) {
    const name = `recovers from first starts that were killed at any point (${lane} of 2)`;
    test(name, () => killFirstStarts(3));
  }
  test("takes over from a frozen PostgreSQL whose Dewey was killed", takeOverFrozen);
  test("stops even when it is frozen", stopFrozen);
});

describe.skipIf(!isRoot)("the embedded PostgreSQL runs", () => {
  test("as the ordinary user that Dewey runs as", async () => {
    using folder = temporary();
    chownSync(folder.path, NOBODY.uid, NOBODY.gid);
    await using dewey = await running(folder.path, NOBODY);
    expect(statSync(placesIn(folder.path).cluster).uid).toBe(NOBODY.uid);
    expect(await answers(dewey.connection)).toBe(true);
  });

  test("as nobody when Dewey runs as root", async () => {
    await using dewey = await running(known);
    expect(statSync(`/proc/${postmaster(known)}`).uid).toBe(NOBODY.uid);
    expect(await answers(dewey.connection)).toBe(true);
  });

  test("as the folder's owner when Dewey runs as root in another user's folder", async () => {
    using folder = temporary();
    const daemon: User = { uid: 1, gid: 1 };
    chownSync(folder.path, daemon.uid, daemon.gid);
    await using dewey = await running(folder.path);
    expect(statSync(`/proc/${postmaster(folder.path)}`).uid).toBe(daemon.uid);
    expect(await answers(dewey.connection)).toBe(true);
  });

  const hasNamespaces = isRoot && Bun.spawnSync(["unshare", "--user", "true"]).success;
  test.skipIf(!hasNamespaces)("in a folder that only root may enter, and still after that changes", async () => {
    using folder = temporary();
    chmodSync(folder.path, 0o700);
    const data = join(folder.path, "data");
    await (await running(data)).stop();
    chmodSync(folder.path, 0o711);
    await using dewey = await running(data);
    expect(await answers(dewey.connection)).toBe(true);
  });
});

/** Starts Dewey in an empty folder, kills it after a random time, and expects the next start to work. */
async function killFirstStarts(rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    using folder = temporary();
    const first = spawnHost(folder.path);
    const killAfterMs = Math.random() * 1500;
    await Promise.race([first.exited, Bun.sleep(killAfterMs)]);
    first.kill("SIGKILL");
    await first.exited;
    await using next = await started(folder.path);
    if (!next.connection) throw new Error(`killed after ${killAfterMs} ms: ${await next.stderr()}`);
    expect(await answers(next.connection)).toBe(true);
  }
}

async function takeOverFrozen(): Promise<void> {
  using folder = temporary();
  await using dewey = await running(folder.path);
  process.kill(postmaster(folder.path), "SIGSTOP");
  await dewey.kill();
  await using next = await running(folder.path);
  expect(await answers(next.connection)).toBe(true);
}

async function stopFrozen(): Promise<void> {
  using folder = temporary();
  await using dewey = await running(folder.path);
  process.kill(postmaster(folder.path), "SIGSTOP");
  await dewey.stop();
  expect(processesIn(folder.path)).toEqual([]);
}

interface Host extends AsyncDisposable {
  pid: number;
  /** Where its PostgreSQL is; undefined when it did not start. */
  connection: Connection | undefined;
  stderr(): Promise<string>;
  /** Stops it, unless it has ended, and returns the steps of its start. */
  stop(): Promise<string[]>;
  kill(): Promise<void>;
}

function spawnHost(folder: string, user?: User) {
  return Bun.spawn([host, folder], {
    cwd: "/",
    env: {},
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    ...(user && isRoot ? { uid: user.uid, gid: user.gid } : {}),
  });
}

/** Starts a host and waits until it runs or has ended. */
async function started(folder: string, user?: User): Promise<Host> {
  const child = spawnHost(folder, user);
  const stderr = new Response(child.stderr).text();
  const { connection, steps } = await readStart(child.stdout);
  async function stop(): Promise<string[]> {
    await child.stdin.end();
    await child.exited;
    return steps;
  }
  async function kill(): Promise<void> {
    child.kill("SIGKILL");
    await child.exited;
  }
  return {
    pid: child.pid,
    connection,
    stderr: () => stderr,
    stop,
    kill,
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}

/** Reads a host's output until it runs or has ended. */
async function readStart(stdout: ReadableStream<Uint8Array>) {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stdout) {
    text += decoder.decode(chunk, { stream: true });
    const last = text.split("\n").at(-2);
    if (last?.startsWith("{"))
      return { connection: JSON.parse(last) as Connection, steps: text.split("\n").slice(0, -2) };
  }
  return { connection: undefined, steps: text.split("\n").slice(0, -1) };
}

/** Starts a host that is expected to run. */
async function running(folder: string, user?: User): Promise<Host & { connection: Connection }> {
  const dewey = await started(folder, user);
  if (!dewey.connection) throw new Error(await dewey.stderr());
  return { ...dewey, connection: dewey.connection };
}

async function answers(connection: Connection): Promise<boolean> {
  await using sql = connect(connection);
  try {
    const [row] = await sql`select 1 as one`;
    return row.one === 1;
  } catch {
    return false;
  }
}

/** A temporary folder, removed when the block ends. */
function temporary() {
  const path = temporaryFolder();
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

function postmaster(folder: string): number {
  const [pid] = readFileSync(join(placesIn(folder).cluster, "postmaster.pid"), "utf8").split("\n");
  return Number(pid);
}

/** Processes of PostgreSQL and its guard in the folder: those started from it or naming it, except Dewey itself. */
function processesIn(folder: string): number[] {
  const pids = readdirSync("/proc").map(Number).filter(Boolean);
  return pids.filter((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      if (command.startsWith(host)) return false;
      return command.includes(folder) || readlinkSync(`/proc/${pid}/exe`).startsWith(folder);
    } catch {
      return false;
    }
  });
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await Bun.sleep(10);
}
