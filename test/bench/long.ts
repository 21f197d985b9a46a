import { Rpc } from "../support/rpc.ts";
import { familyOf, proportionalMb } from "./support/memory.ts";
import { programPath, startProgram } from "./support/program.ts";
import { startRecorder } from "./support/recorder.ts";
import type { Recorder } from "./support/recorder.ts";
import { median, told } from "./support/row.ts";
import type { Row } from "./support/row.ts";
import { Writer } from "./support/text.ts";

const MINUTES = 30;
/** When memory is taken as the baseline: minute five of thirty, or the same share of another duration. */
const SETTLED_SHARE = 1 / 6;
/** Memory varies with garbage collection, so the median over this share of the time counts. */
const WINDOW_SHARE = 1 / 30;
const SAMPLE_MS = 2000;
/** Limit on memory at the end, relative to the baseline. */
const MOST_GROWTH = 1.1;
const ECHO_CHARACTERS = 2000;
/** Calls per session, after which a new one starts, as in real use. */
const CALLS_A_SESSION = 50;
const LARGE_EVERY = 10;
const clients = { proxied: 10, stdio: 2, server: 6 };
/** Pause between two calls of a client. */
const PAUSE_MS = { proxied: 300, stdio: 500, server: 500 };

/**
 * Checks that memory does not keep growing under mixed load (`--minutes N`, by default thirty): sessions through the proxy
 * to a WebSocket server and to stdio commands, and clients that store, search, read and list. Everything answered through
 * the proxy must be in the database at the end, or the bench fails.
 */
export async function long(): Promise<Row[]> {
  const at = process.argv.indexOf("--minutes");
  const lengthMs = (at === -1 ? MINUTES : Number(process.argv[at + 1])) * 60_000;
  await using upstream = await startProgram("echo-upstream", `${ECHO_CHARACTERS}`);
  await using recorder = await startRecorder({
    up: { type: "ws", url: upstream.url },
    command: { command: process.execPath, args: [programPath("echo-upstream"), `${ECHO_CHARACTERS}`, "--stdio"] },
  });
  const samples: Sample[] = [];
  await recorder.during(async () => {
    const endMs = performance.now() + lengthMs;
    const echoes = [
      ...Array.from({ length: clients.proxied }, (_, seed) =>
        echoing(recorder.address("up"), seed, endMs, PAUSE_MS.proxied),
      ),
      ...Array.from({ length: clients.stdio }, (_, seed) =>
        echoing(recorder.address("command"), seed, endMs, PAUSE_MS.stdio),
      ),
    ];
    const others = Array.from({ length: clients.server }, (_, seed) => keeping(recorder.serverUrl, seed, endMs));
    const watching = watch(recorder, samples, endMs);
    const byClient = await Promise.all(echoes);
    await Promise.all([...others, watching]);
    const calls = byClient.reduce((sum, each) => sum + each, 0);
    return { rate: (calls * 1000) / lengthMs, p50Ms: Number.NaN, p99Ms: Number.NaN, byClient };
  });
  await recorder.check();
  const grown = (pick: (sample: Sample) => number) => ({
    dewey: [window(samples, 1, pick)],
    other: [window(samples, SETTLED_SHARE, pick)],
    against: `after ${Math.round((lengthMs * SETTLED_SHARE) / 6000) / 10} min`,
    unit: "MB",
    compare: "ratio" as const,
  });
  const minutes = Math.round(lengthMs / 6000) / 10;
  return [
    {
      what: `server after ${minutes} min of mixed load`,
      ...grown((each) => each.server),
      bar: { atMost: MOST_GROWTH },
    },
    { what: `proxy after ${minutes} min of mixed load`, ...grown((each) => each.proxy), bar: { atMost: MOST_GROWTH } },
    { what: "… its PostgreSQL, which caches more as data grows", ...grown((each) => each.database) },
    told("… longest pause between two samples of memory", "ms", [Math.max(...samples.map((each) => each.lateMs))]),
  ];
}

interface Sample {
  server: number;
  database: number;
  proxy: number;
  /** Delay of the sample: while the machine stalls, memory means nothing. */
  lateMs: number;
}

/** Samples memory periodically until the end. */
async function watch(recorder: Recorder, samples: Sample[], endMs: number): Promise<void> {
  let lastMs = performance.now();
  while (performance.now() < endMs) {
    await Bun.sleep(SAMPLE_MS);
    const [server = Number.NaN, ...database] = familyOf(recorder.server.process.pid).map(proportionalMb);
    const proxy = proportionalMb(recorder.proxy.process.pid);
    const now = performance.now();
    samples.push({ server, proxy, database: database.reduce((sum, each) => sum + each, 0), lateMs: now - lastMs });
    lastMs = now;
  }
}

/** The median of the samples before a share of the total time. */
function window(samples: Sample[], share: number, pick: (sample: Sample) => number): number {
  const end = Math.round(samples.length * share);
  const length = Math.max(1, Math.round(samples.length * WINDOW_SHARE));
  return median(samples.slice(Math.max(0, end - length), end).map(pick));
}

/** Runs sessions of one client through the proxy, one after the other. Returns the number of answered calls. */
async function echoing(url: string, seed: number, endMs: number, pauseMs: number): Promise<number> {
  const writer = new Writer(seed);
  let answered = 0;
  while (performance.now() < endMs) {
    const client = await Rpc.open(url);
    await client.initialize();
    for (let call = 1; call <= CALLS_A_SESSION && performance.now() < endMs; call++) {
      await client.tool("echo", { text: writer.text(call % LARGE_EVERY === 0 ? 9000 : 200) });
      answered += 1;
      await Bun.sleep(writer.random() * 2 * pauseMs);
    }
    client.close();
  }
  return answered;
}

/** A client of the server that stores, searches, reads and lists. */
async function keeping(url: string, seed: number, endMs: number): Promise<void> {
  const writer = new Writer(1000 + seed);
  while (performance.now() < endMs) {
    const client = await Rpc.open(url);
    await client.initialize();
    const { conversation_id } = await client.tool("dewey_begin_conversation", {});
    for (let call = 1; call <= CALLS_A_SESSION && performance.now() < endMs; call++) {
      await client.tool("dewey_store_message", { conversation_id, role: "user", content: writer.text(400) });
      if (call % 3 === 0) await client.tool("dewey_search", { query: writer.text(20) });
      if (call % 7 === 0) await client.tool("dewey_get_conversation", { conversation_id });
      if (call % 11 === 0) await client.tool("dewey_list_conversations", {});
      await Bun.sleep(writer.random() * 2 * PAUSE_MS.server);
    }
    client.close();
  }
}
