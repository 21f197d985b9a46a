import { statSync } from "node:fs";
import { join } from "node:path";
import { binary, plainEnvironment, run, start, startServe, temporaryHome } from "../support/binary.ts";
import { BYTES_PER_MB, familyOf, proportionalMb } from "./support/memory.ts";
import { told, withinLimit } from "./support/row.ts";
import type { Row } from "./support/row.ts";

const ROUNDS = 5;
/** A start on a fresh folder unpacks a PostgreSQL and makes a database: that takes seconds. */
const FRESH_ROUNDS = 3;
const VERSION_LIMIT_MS = 50;
const KNOWN_FOLDER_LIMIT_MS = 1000;
const FRESH_FOLDER_LIMIT_MS = 5000;
const PROXY_LIMIT_MS = 200;

/** How long the binary takes until it is of use, and what it takes of the machine while nobody uses it. */
export async function starting(): Promise<Row[]> {
  using home = temporaryHome();
  const version: number[] = [];
  const proxy: number[] = [];
  const known: number[] = [];
  const fresh: number[] = [];
  const memory = { server: [] as number[], database: [] as number[], proxy: [] as number[] };
  for (let round = 0; round < FRESH_ROUNDS; round++) {
    using empty = temporaryHome();
    fresh.push(await msOf(async () => (await startServe(empty.path)).running, stop));
  }
  await (await startServe(home.path)).running.stop();
  for (let round = 0; round < ROUNDS; round++) {
    version.push(await msOf(() => run(["--version"], plainEnvironment(home.path))));
    proxy.push(
      await msOf(
        () => startProxy(home.path),
        async (running) => {
          memory.proxy.push(proportionalMb(running.process.pid));
          await running.stop();
        },
      ),
    );
    known.push(
      await msOf(
        async () => (await startServe(home.path)).running,
        async (running) => {
          const [server = Number.NaN, ...database] = familyOf(running.process.pid).map(proportionalMb);
          memory.server.push(server);
          memory.database.push(database.reduce((sum, each) => sum + each, 0));
          await running.stop();
        },
      ),
    );
  }
  return [
    withinLimit("dewey --version", "ms", version, VERSION_LIMIT_MS),
    withinLimit("server ready, known folder", "ms", known, KNOWN_FOLDER_LIMIT_MS),
    withinLimit("server ready, fresh folder", "ms", fresh, FRESH_FOLDER_LIMIT_MS),
    withinLimit("proxy ready", "ms", proxy, PROXY_LIMIT_MS),
    told("size of the binary", "MB", [statSync(binary).size / BYTES_PER_MB]),
    told("idle server, memory", "MB", memory.server),
    told("its PostgreSQL, all processes", "MB", memory.database),
    told("idle proxy, memory", "MB", memory.proxy),
  ];
}

type Running = Awaited<ReturnType<typeof startServe>>["running"];

async function stop(running: Running): Promise<void> {
  await running.stop();
}

/** How long the work takes, without what is done with its result afterwards. */
async function msOf<Result>(work: () => Promise<Result>, after?: (result: Result) => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  const result = await work();
  const ms = performance.now() - startedMs;
  await after?.(result);
  return ms;
}

async function startProxy(home: string): Promise<Running> {
  const running = start(["proxy", "--port", "0", "--data-dir", join(home, "proxy")], plainEnvironment(home));
  await running.until("stderr", /"event":"relaying"/);
  return running;
}
