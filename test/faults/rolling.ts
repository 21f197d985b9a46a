import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { migrations } from "../../src/store/database/migrations.ts";
import { binary, databaseAddress, start } from "../support/binary.ts";
import type { Running } from "../support/binary.ts";
import { plainEnvironment } from "../support/home.ts";
import { connect, engines, privateCluster, stopSharedClusters } from "../support/postgres.ts";
import { Rpc } from "../support/rpc.ts";

// `bun run rolling [--from COMMIT] [--seconds N]`: replaces servers one by one, as a rolling upgrade does. Two servers of an
// earlier commit run on one database, a server of this one starts beside them and migrates it, clients work on all three, the
// earlier ones stop, one of them starts again. Every acknowledged message must be there, once, and no call may fail. Without
// `--from`, the earlier commit is the one before the newest migration.

const root = join(import.meta.dir, "../..");
const { values } = parseArgs({ options: { from: { type: "string" }, seconds: { type: "string", default: "5" } } });
const CLIENTS_PER_SERVER = 4;

process.exitCode = await rolling(values.from ?? beforeNewestMigration(), Number(values.seconds) * 1000);

async function rolling(commit: string, phaseMs: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "dewey-rolling-"));
  try {
    const earlier = buildEarlier(commit, join(folder, "earlier"));
    return await upgrade(earlier, folder, phaseMs);
  } finally {
    Bun.spawnSync(["git", "-C", root, "worktree", "remove", "--force", join(folder, "earlier")]);
    rmSync(folder, { recursive: true, force: true });
    await stopSharedClusters();
  }
}

async function upgrade(earlier: string, folder: string, phaseMs: number): Promise<number> {
  await using cluster = await privateCluster(engines[0]!);
  const env = { ...plainEnvironment(folder), DEWEY_DATABASE_URL: databaseAddress(cluster.connection) };
  const serve = async (program: string) => {
    const running = start(["serve", "--port", "0"], env, undefined, program);
    const [, url = ""] = await running.until("stderr", /"event":"serving","url":"([^"]+)"/);
    return { running, url };
  };
  const work = new Work();
  const old = [await serve(earlier), await serve(earlier)];
  for (const { url } of old) work.on(url);
  await work.goOn("two earlier servers", phaseMs);
  const next = await serve(binary);
  work.on(next.url);
  await work.goOn("this one beside them, on its schema", phaseMs);
  for (const { running, url } of old) {
    await work.leave(url);
    console.log(`  an earlier one stops: exit code ${await running.stop()}`);
    work.on(next.url);
    await work.goOn("without it", phaseMs);
  }
  console.log(`  an earlier one starts again: ${await restarted(earlier, env)}`);
  await work.leave(next.url);
  await using sql = connect(cluster.connection);
  const missing = await work.missing(sql);
  const faults = [...work.failures, ...crashes([...old.map(({ running }) => running), next.running])];
  await next.running.stop();
  for (const fault of faults.slice(0, 10)) console.log(`  fault: ${fault}`);
  console.log(`${work.acknowledged.size} messages acknowledged, ${missing} missing, ${faults.length} calls failed`);
  return missing + faults.length === 0 ? 0 : 1;
}

/** What a start of the earlier server on this schema leads to. */
async function restarted(program: string, env: Record<string, string>): Promise<string> {
  const running = start(["serve", "--port", "0"], env, undefined, program);
  const begun = await Promise.race([
    running.until("stderr", /"event":"serving"/).then(() => "it serves"),
    running.process.exited.then((code) => `exit code ${code}: ${running.stderr().trim().split("\n").at(-1)}`),
  ]);
  await running.stop();
  return begun;
}

/** Clients that store, search, list, rename, delete and restore, without a pause. */
class Work {
  readonly acknowledged = new Set<string>();
  readonly failures: string[] = [];
  readonly #clients = new Map<string, { stop: AbortController; done: Promise<unknown> }[]>();
  #number = 0;

  on(url: string): void {
    const stop = new AbortController();
    const clients = Array.from({ length: CLIENTS_PER_SERVER }, () => this.#client(url, stop.signal));
    this.#clients.set(url, [...(this.#clients.get(url) ?? []), { stop, done: Promise.all(clients) }]);
  }

  async goOn(what: string, durationMs: number): Promise<void> {
    const before = this.acknowledged.size;
    await Bun.sleep(durationMs);
    console.log(`  ${what}: ${this.acknowledged.size - before} messages stored`);
  }

  async leave(url: string): Promise<void> {
    for (const { stop, done } of this.#clients.get(url) ?? []) {
      stop.abort();
      await done;
    }
    this.#clients.delete(url);
  }

  async missing(sql: Bun.SQL): Promise<number> {
    const rows: { id: string }[] = await sql`select id from messages`;
    const stored = new Set(rows.map(({ id }) => id));
    return [...this.acknowledged].filter((id) => !stored.has(id)).length;
  }

  async #client(url: string, stop: AbortSignal): Promise<void> {
    const rpc = await Rpc.open(url);
    await rpc.initialize(`client ${(this.#number += 1)}`);
    while (!stop.aborted) await this.#round(rpc).catch((error: unknown) => this.failures.push(String(error)));
    rpc.close();
  }

  async #round(rpc: Rpc): Promise<void> {
    const { conversation_id } = await rpc.tool("dewey_begin_conversation", { metadata: { source: "rolling" } });
    for (let turn = 1; turn <= 10; turn += 1) {
      const content = `message ${turn} of conversation ${String(conversation_id)}, about lighthouses`;
      const { message_id } = await rpc.tool("dewey_store_message", { conversation_id, role: "user", content });
      this.acknowledged.add(String(message_id));
    }
    await rpc.tool("dewey_search", { query: "lighthouses", limit: 5 });
    await rpc.tool("dewey_list_conversations", { limit: 5 });
    await rpc.tool("dewey_update_conversation", { conversation_id, title: "A title" });
    await rpc.tool("dewey_delete_conversation", { conversation_id });
    await rpc.tool("dewey_restore_conversation", { conversation_id });
    const page = await rpc.tool("dewey_get_conversation", { conversation_id, limit: 50 });
    const { length } = page["messages"] as unknown[];
    if (length !== 10) throw new Error(`conversation ${String(conversation_id)} has ${length} messages instead of 10`);
  }
}

/** Errors in the servers' logs. */
function crashes(servers: Running[]): string[] {
  return servers.flatMap((server) =>
    server
      .stderr()
      .split("\n")
      .filter((line) => line.includes('"level":"error"')),
  );
}

/** Builds the binary of a commit, with the archives of PostgreSQL that are here. */
function buildEarlier(commit: string, folder: string): string {
  console.log(`Building ${run(["git", "-C", root, "log", "-1", "--format=%h %s", commit])}`);
  run(["git", "-C", root, "worktree", "add", "--detach", folder, commit]);
  run([process.execPath, "install", "--frozen-lockfile"], folder);
  const archives = join(root, "dist/engine");
  if (existsSync(archives)) cpSync(archives, join(folder, "dist/engine"), { recursive: true, verbatimSymlinks: true });
  run([process.execPath, "src/build/build.ts"], folder);
  return join(folder, "dist/dewey");
}

function beforeNewestMigration(): string {
  const newest = `sql/${migrations.at(-1)?.name}.sql`;
  const added = run(["git", "-C", root, "log", "--diff-filter=A", "--format=%H", "-1", "--", newest]);
  return `${added}~1`;
}

function run(command: string[], cwd = root): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { cwd, stdout: "pipe", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")} failed: ${stderr.toString()}`);
  return stdout.toString().trim();
}
