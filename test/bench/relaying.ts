import { join } from "node:path";
import { freePort } from "../support/ports.ts";
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
 * What is measured is a relay that has been up for a while. JavaScriptCore compiles a function for the last time when it was
 * called 64,000 times, which a relay of ten calls a second reaches within two hours; both relays pass so many before.
 */
const COMPILING_MS = 2500;
const COMPILING_CHARACTERS = 200;
/** Each of the clients has a command of its own, begun with its session, and the commands compile their code first. */
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
 * Calls through the proxy, which records every one, beside a relay that does nothing else, and beside supergateway for a
 * server on stdio. Client, relay, server, recorder's store and database share the machine. At the end everything that
 * was answered is in the database, or the bench fails.
 */
export async function relaying(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const size of sizes) rows.push(...(await webSockets(size)));
  for (const size of sizes) rows.push(...(await stdio(size)));
  return rows;
}

async function webSockets({ name, characters }: Size): Promise<Row[]> {
  await using upstream = await startProgram("echo-upstream", `${characters}`);
  await using bare = await startProgram("bare-relay", upstream.url);
  await using recorder = await startRecorder({ up: { type: "ws", url: upstream.url } });
  await compiled(bare.url, recorder);
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

/** A server on stdio, behind Dewey and behind supergateway, on WebSocket. */
async function stdio({ name, characters }: Size): Promise<Row[]> {
  const command = [process.execPath, programPath("echo-upstream"), `${characters}`, "--stdio"];
  const port = freePort();
  const peer = `ws://127.0.0.1:${port}/message`;
  const gateway = join(import.meta.dir, "../../node_modules/.bin/supergateway");
  const options = ["--outputTransport", "ws", "--port", `${port}`, "--messagePath", "/message"];
  await using _ = await startCommand([gateway, "--stdio", command.join(" "), ...options], /(WebSocket endpoint)/);
  await using recorder = await startRecorder({ up: { command: command[0], args: command.slice(1) } });
  await compiled(peer, recorder);
  const rows: Row[] = [];
  for (const clients of [1, MANY]) {
    const rounds: { peer: Load; dewey: Load }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      rounds.push({
        peer: await load(peer, clients, characters, STDIO_WARM_UP_MS),
        dewey: await recorder.during(() => load(recorder.address("up"), clients, characters, STDIO_WARM_UP_MS)),
      });
    }
    rows.push({
      what: `relaying to stdio, ${name}, ${clients} client${clients === 1 ? "" : "s"}`,
      unit: "calls/s",
      dewey: rounds.map((round) => round.dewey.rate),
      against: "supergateway",
      other: rounds.map((round) => round.peer.rate),
      compare: "ratio",
      bar: { atLeast: 1 },
    });
  }
  await recorder.check();
  return rows;
}

/** Short calls through both, which are soon delivered. */
async function compiled(other: string, recorder: Recorder): Promise<void> {
  await load(other, MANY, COMPILING_CHARACTERS, COMPILING_MS);
  await recorder.during(() => load(recorder.address("up"), MANY, COMPILING_CHARACTERS, COMPILING_MS));
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
