import { join } from "node:path";
import { freePort } from "../support/ports.ts";
import { until } from "../support/rpc.ts";
import { toolFrame } from "./support/dewey.ts";
import { closedLoop } from "./support/load.ts";
import type { Load } from "./support/load.ts";
import { programPath, startCommand, startProgram } from "./support/program.ts";
import { startRecorder } from "./support/recorder.ts";
import type { Recorder } from "./support/recorder.ts";
import type { Row } from "./support/row.ts";

const ROUNDS = 3;
const WARM_UP_MS = 300;
/**
 * Warm-up of both relays, because a relay that has run for a while is measured. JavaScriptCore compiles a function for the
 * last time after 64,000 calls, which a relay with ten calls per second reaches within two hours.
 */
const COMPILING_MS = 2500;
const COMPILING_CHARACTERS = 200;
/** Each client has a command of its own, started with its session; the commands warm up too. */
const STDIO_WARM_UP_MS = 3000;
const DURATION_MS = 700;
const MANY = 20;
const sizes = [
  { name: "200 bytes", characters: 200 },
  { name: "9 KB", characters: 9000 },
];

type Size = (typeof sizes)[number];

interface Round {
  direct: Load;
  bare: Load;
  dewey: Load;
}

/**
 * Calls through the proxy, which records each of them, against a relay that does nothing else, and against peers for stdio
 * servers. Client, relay, server, the recorder's store and the database share the machine. Every answered call must be in
 * the database at the end, or the bench fails.
 */
export async function relaying(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const size of sizes) rows.push(...(await webSockets(size)));
  for (const peer of peers) for (const size of sizes) rows.push(...(await stdio(size, peer)));
  return rows;
}

async function webSockets({ name, characters }: Size): Promise<Row[]> {
  await using upstream = await startProgram("echo-upstream", `${characters}`);
  await using bare = await startProgram("bare-relay", upstream.url);
  await using recorder = await startRecorder({ up: { type: "ws", url: upstream.url } });
  await compiled(bare.url, recorder.address("up"), recorder);
  const rows: Row[] = [];
  for (const clients of [1, MANY]) {
    const rounds: Round[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      rounds.push({
        direct: await load(upstream.url, clients, characters),
        bare: await load(bare.url, clients, characters),
        dewey: await recorder.during(() => load(recorder.address("up"), clients, characters)),
      });
    }
    rows.push(...(clients === 1 ? aloneRows(name, rounds) : manyRows(name, rounds)));
  }
  await recorder.check();
  return rows;
}

function aloneRows(name: string, rounds: Round[]): Row[] {
  const added = (pick: (round: Round) => Load) => rounds.map((round) => pick(round).p50Ms - round.direct.p50Ms);
  return [
    {
      what: `relaying ${name}, 1 client: p50 added`,
      unit: "ms",
      dewey: added((round) => round.dewey),
      against: "bare relay",
      other: added((round) => round.bare),
      compare: "ratio",
      bar: { atMost: 2 },
    },
    {
      what: `relaying ${name}, 1 client: p99`,
      unit: "ms",
      dewey: rounds.map((round) => round.dewey.p99Ms),
      against: "bare relay",
      other: rounds.map((round) => round.bare.p99Ms),
      compare: "difference",
      bar: { atMost: 2 },
    },
  ];
}

function manyRows(name: string, rounds: Round[]): Row[] {
  return [
    {
      what: `relaying ${name}, ${MANY} clients`,
      unit: "calls/s",
      dewey: rounds.map((round) => round.dewey.rate),
      against: "bare relay",
      other: rounds.map((round) => round.bare.rate),
      compare: "ratio",
      bar: { atLeast: 0.6 },
    },
    {
      what: `relaying ${name}, ${MANY} clients: p99`,
      unit: "ms",
      dewey: rounds.map((round) => round.dewey.p99Ms),
      against: "bare relay",
      other: rounds.map((round) => round.bare.p99Ms),
      compare: "difference",
      bar: { atMost: 2 },
    },
  ];
}

/** A program from npm that serves a stdio command over another wire, unmodified. */
interface Peer {
  name: string;
  wire: string;
  command(port: number, server: string[]): string[];
  ready: RegExp;
  address(port: number): string;
  /** The address at which the proxy serves the same. */
  ours(recorder: Recorder): string;
}

const program = (name: string) => join(import.meta.dir, "../../node_modules/.bin", name);
const peers: Peer[] = [
  {
    name: "supergateway",
    wire: "WebSocket",
    command: (port, server) => {
      const options = ["--outputTransport", "ws", "--port", `${port}`, "--messagePath", "/message"];
      return [program("supergateway"), "--stdio", server.join(" "), ...options];
    },
    ready: /(WebSocket endpoint)/,
    address: (port) => `ws://127.0.0.1:${port}/message`,
    ours: (recorder) => recorder.address("up"),
  },
  {
    // Its sessions share one command; each of Dewey's has its own.
    name: "mcp-proxy",
    wire: "HTTP",
    command: (port, server) => {
      const options = ["--server", "stream", "--host", "127.0.0.1", "--port", `${port}`];
      return [program("mcp-proxy"), ...options, "--", ...server];
    },
    ready: /(starting server)/,
    address: (port) => `http://127.0.0.1:${port}/mcp`,
    ours: (recorder) => recorder.httpAddress("up"),
  },
];

/** A stdio server behind Dewey and behind a peer. */
async function stdio({ name, characters }: Size, peer: Peer): Promise<Row[]> {
  const server = [process.execPath, programPath("echo-upstream"), `${characters}`, "--stdio"];
  const port = freePort();
  const theirs = peer.address(port);
  await using _ = await startCommand(peer.command(port, server), peer.ready);
  // It may print this shortly before it listens.
  const isListening = () => fetch(`http://127.0.0.1:${port}/`).then(Boolean, () => false);
  await until(peer.name, isListening);
  await using recorder = await startRecorder({ up: { command: server[0], args: server.slice(1) } });
  const ours = peer.ours(recorder);
  await compiled(theirs, ours, recorder);
  const rows: Row[] = [];
  for (const clients of [1, MANY]) {
    const rounds: { peer: Load; dewey: Load }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      rounds.push({
        peer: await load(theirs, clients, characters, STDIO_WARM_UP_MS),
        dewey: await recorder.during(() => load(ours, clients, characters, STDIO_WARM_UP_MS)),
      });
    }
    rows.push({
      what: `relaying ${peer.wire} to stdio, ${name}, ${clients} client${clients === 1 ? "" : "s"}`,
      unit: "calls/s",
      dewey: rounds.map((round) => round.dewey.rate),
      against: peer.name,
      other: rounds.map((round) => round.peer.rate),
      compare: "ratio",
      bar: { atLeast: 1 },
    });
  }
  await recorder.check();
  return rows;
}

/** Short calls through both, which are delivered quickly. */
async function compiled(theirs: string, ours: string, recorder: Recorder): Promise<void> {
  await load(theirs, MANY, COMPILING_CHARACTERS, COMPILING_MS);
  await recorder.during(() => load(ours, MANY, COMPILING_CHARACTERS, COMPILING_MS));
}

function load(url: string, clients: number, characters: number, warmUpMs = WARM_UP_MS): Promise<Load> {
  const text = "y".repeat(characters);
  return closedLoop({
    urls: Array.from({ length: clients }, () => url),
    warmUpMs,
    durationMs: DURATION_MS,
    frame: (_, id) => toolFrame(id, "echo", { text }),
  });
}
