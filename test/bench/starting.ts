import { chmodSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binary, start, startServe } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import { deliverersOf, stopDeliverers } from "../support/deliverers.ts";
import { until } from "../support/rpc.ts";
import { buildBare } from "./support/bare.ts";
import { BYTES_PER_MB, familyOf, proportionalMb } from "./support/memory.ts";
import { engineTar, freshStartMs, knownStartMs } from "./support/postgres-by-hand.ts";
import type { Row } from "./support/row.ts";

// Time until the binary is ready, and its memory while idle, alternating with the minimum for a program built with Bun
// (`bare-program.ts`) and with PostgreSQL's own programs.

const COMMAND_ROUNDS = 25;
const PROXY_ROUNDS = 11;
const KNOWN_ROUNDS = 7;
/** Rounds of starts on a fresh folder: each unpacks PostgreSQL and creates a database, which takes seconds. */
const FRESH_ROUNDS = 3;

const COMMAND_LIMIT_MS = 50;
const PROXY_LIMIT_MS = 200;
const KNOWN_FOLDER_LIMIT_MS = 1000;
const FRESH_FOLDER_LIMIT_MS = 5000;

const BARE = "a bare Bun program";
const BY_HAND = "PostgreSQL by hand";

/** Dewey's values and its reference's, measured in alternation. */
interface Pair {
  dewey: number[];
  other: number[];
}

export async function starting(): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "dewey-starting-"));
  using home = passableHome();
  try {
    const bare = await buildBare(folder);
    const tar = await engineTar(folder);
    const fresh = await freshStarts(tar);
    await (await startServe(home.path)).running.stop();
    const known = await knownStarts(home.path);
    const proxy = await proxyStarts(bare, home.path);
    const version = await pairs(
      COMMAND_ROUNDS,
      () => commandMs([binary, "--version"], home.path),
      () => commandMs([bare], home.path),
    );
    const hook = await hooks(bare, home.path);
    const size = (path: string) => statSync(path).size / BYTES_PER_MB;
    return [
      row("dewey --version", "ms", version, BARE, COMMAND_LIMIT_MS),
      row("dewey hook, a deliverer at work", "ms", hook, BARE, COMMAND_LIMIT_MS),
      row("proxy ready", "ms", proxy.ready, `${BARE} that listens`, PROXY_LIMIT_MS),
      row("server ready, known folder", "ms", known.ready, BY_HAND, KNOWN_FOLDER_LIMIT_MS),
      row("server ready, fresh folder", "ms", fresh, `tar, initdb, ${BY_HAND}`, FRESH_FOLDER_LIMIT_MS),
      row("size of the binary", "MB", { dewey: [size(binary)], other: [size(bare)] }, BARE),
      row("idle proxy, memory", "MB", proxy.memory, `${BARE} that listens`),
      row("idle server, memory", "MB", { dewey: known.serverMb, other: proxy.memory.other }, `${BARE} that listens`),
      row("its PostgreSQL, all processes", "MB", { dewey: known.databaseMb, other: [] }, ""),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A home that other users may traverse: PostgreSQL runs as another user when the bench runs as root. */
function passableHome() {
  const home = temporaryHome();
  chmodSync(home.path, 0o711);
  return home;
}

function row(what: string, unit: string, { dewey, other }: Pair, against: string, within?: number): Row {
  const bar = within === undefined ? {} : { bar: { within } };
  return { what, unit, dewey, against, other, compare: "ratio", ...bar };
}

async function pairs(rounds: number, dewey: () => Promise<number>, other: () => Promise<number>): Promise<Pair> {
  const pair: Pair = { dewey: [], other: [] };
  for (let round = 0; round < rounds; round++) {
    pair.dewey.push(await dewey());
    pair.other.push(await other());
  }
  return pair;
}

/** Time from the start of a program to its exit. */
async function commandMs(command: string[], home: string, stdin = "", env: Record<string, string> = {}) {
  const startedMs = performance.now();
  const child = Bun.spawn(command, {
    env: { ...plainEnvironment(home), ...env },
    stdin: Buffer.from(stdin),
    stdout: "pipe",
    stderr: "inherit",
  });
  await Promise.all([new Response(child.stdout).text(), child.exited]);
  if (child.exitCode !== 0) throw new Error(`${command.join(" ")} ended with ${child.exitCode}`);
  return performance.now() - startedMs;
}

/** The situation of a session's hooks: a server runs, and a deliverer waits for events. */
async function hooks(bare: string, home: string): Promise<Pair> {
  const { running, url } = await startServe(home);
  const dataDir = join(home, "data");
  const env = { DEWEY_URL: url, DEWEY_DATA_DIR: dataDir };
  const session_id = crypto.randomUUID();
  const event = () => {
    const [prompt_id, prompt] = [crypto.randomUUID(), "mend the test"];
    return JSON.stringify({ session_id, cwd: home, hook_event_name: "UserPromptSubmit", prompt_id, prompt });
  };
  try {
    await commandMs([binary, "hook"], home, event(), env);
    await until("a deliverer", () => deliverersOf(dataDir).length > 0);
    return await pairs(
      COMMAND_ROUNDS,
      () => commandMs([binary, "hook"], home, event(), env),
      () => commandMs([bare, "read"], home, event()),
    );
  } finally {
    await stopDeliverers(dataDir);
    await running.stop();
  }
}

async function proxyStarts(bare: string, home: string): Promise<{ ready: Pair; memory: Pair }> {
  const env = plainEnvironment(home);
  const memory: Pair = { dewey: [], other: [] };
  const ready = await pairs(
    PROXY_ROUNDS,
    () =>
      msUntil(/"event":"relaying"/, memory.dewey, () =>
        start(["proxy", "--port", "0", "--data-dir", join(home, "proxy")], env),
      ),
    () => msUntil(/listening on/, memory.other, () => start(["listen"], env, undefined, bare)),
  );
  return { ready, memory };
}

/** Time from the start of a program to a line on its stderr; then samples its memory and stops it. */
async function msUntil(line: RegExp, memoryMb: number[], begin: () => ReturnType<typeof start>): Promise<number> {
  const startedMs = performance.now();
  const running = begin();
  await running.until("stderr", line);
  const ms = performance.now() - startedMs;
  memoryMb.push(proportionalMb(running.process.pid));
  await running.stop();
  return ms;
}

async function knownStarts(home: string) {
  const serverMb: number[] = [];
  const databaseMb: number[] = [];
  const dewey = async () => {
    const startedMs = performance.now();
    const { running } = await startServe(home);
    const ms = performance.now() - startedMs;
    const [server = Number.NaN, ...database] = familyOf(running.process.pid).map(proportionalMb);
    serverMb.push(server);
    databaseMb.push(database.reduce((sum, each) => sum + each, 0));
    await running.stop();
    return ms;
  };
  const ready = await pairs(KNOWN_ROUNDS, dewey, () => knownStartMs(home));
  return { ready, serverMb, databaseMb };
}

async function freshStarts(tar: string): Promise<Pair> {
  const dewey = async () => {
    using home = passableHome();
    const startedMs = performance.now();
    const { running } = await startServe(home.path);
    const ms = performance.now() - startedMs;
    await running.stop();
    return ms;
  };
  const byHand = async () => {
    using home = passableHome();
    return await freshStartMs(tar, home.path);
  };
  return pairs(FRESH_ROUNDS, dewey, byHand);
}
