import { databaseAddress, startServe } from "../support/binary.ts";
import { temporaryHome } from "../support/home.ts";
import { embeddedConnection } from "./support/dewey.ts";
import { closedLoop } from "./support/load.ts";
import type { Load } from "./support/load.ts";
import { beginConversations, checkTurns, conversationId, storeFrame } from "./support/messages.ts";
import type { Row } from "./support/row.ts";

const SERVERS = 3;
const CLIENTS = 50;
const ROUNDS = 6;
/** Warm-up rounds: compiling the code of a server takes some thousand calls. */
const WARM_UP_ROUNDS = 2;
const WARM_UP_MS = 2000;
const DURATION_MS = 4000;

/**
 * Storing through three servers on one PostgreSQL against storing through one of them, with the same clients and
 * conversations. Both share the machine's cores, so this shows the cost of smaller groups that wait for each other, not the
 * gain of more machines.
 */
export async function servers(): Promise<Row[]> {
  await using stack = new AsyncDisposableStack();
  const start = async (env: Record<string, string> = {}) => {
    const home = stack.use(temporaryHome());
    const { running, url } = await startServe(home.path, env);
    stack.use(running);
    return { url, home: home.path };
  };
  const first = await start();
  const connection = embeddedConnection(first.home);
  const urls = [first.url];
  while (urls.length < SERVERS) urls.push((await start({ DEWEY_DATABASE_URL: databaseAddress(connection) })).url);
  await beginConversations(first.url, connection, CLIENTS);
  const store = (over: string[]) =>
    closedLoop({
      urls: Array.from({ length: CLIENTS }, (_, client) => over[client % over.length] ?? ""),
      warmUpMs: WARM_UP_MS,
      durationMs: DURATION_MS,
      frame: (client, id) => storeFrame(conversationId(client), id),
    });
  const one: Load[] = [];
  const three: Load[] = [];
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    // Each goes first in turn, because the tables grow.
    if (round % 2 === 0) one.push(await store([first.url]));
    three.push(await store(urls));
    if (round % 2 === 1) one.push(await store([first.url]));
  }
  for (const loads of [one, three]) loads.splice(0, WARM_UP_ROUNDS);
  await checkTurns(connection);
  return [
    {
      what: "storing over 3 servers: 50 clients, 50 conversations",
      unit: "calls/s",
      dewey: three.map(({ rate }) => rate),
      against: "over 1 server",
      other: one.map(({ rate }) => rate),
      compare: "ratio",
      bar: { atLeast: 0.9 },
    },
    {
      what: "… the slowest server's callers",
      unit: "calls",
      dewey: three.map(({ byClient }) => Math.min(...byServer(byClient))),
      against: "all callers",
      other: three.map(({ byClient }) => mean(byClient)),
      compare: "ratio",
      bar: { atLeast: 0.5 },
    },
    {
      what: "… the slowest caller",
      unit: "calls",
      dewey: three.map(({ byClient }) => Math.min(...byClient)),
      against: "all callers",
      other: three.map(({ byClient }) => mean(byClient)),
      compare: "ratio",
      bar: { atLeast: 0.5 },
    },
    {
      what: "… p99",
      unit: "ms",
      dewey: three.map(({ p99Ms }) => p99Ms),
      against: "over 1 server",
      other: one.map(({ p99Ms }) => p99Ms),
      compare: "ratio",
    },
  ];
}

/** Average calls per caller, by server. */
function byServer(byClient: number[]): number[] {
  return Array.from({ length: SERVERS }, (_, server) =>
    mean(byClient.filter((__, client) => client % SERVERS === server)),
  );
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
