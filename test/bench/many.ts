import { Rpc } from "../support/rpc.ts";
import { toolFrame } from "./support/dewey.ts";
import { closedLoop } from "./support/load.ts";
import type { Load } from "./support/load.ts";
import { proportionalMb } from "./support/memory.ts";
import { startProgram } from "./support/program.ts";
import { startRecorder } from "./support/recorder.ts";
import { median, told } from "./support/row.ts";
import type { Row } from "./support/row.ts";

const IDLE = 1000;
const BUSY = 100;
const SERVER_CLIENTS = 1000;
const FEW_SERVER_CLIENTS = 50;
/** Clients that connect at the same time. */
const CONNECTING = 50;
const CHARACTERS = 200;
const WARM_UP_MS = 1000;
const DURATION_MS = 3000;
/** Time for memory to settle. */
const REST_MS = 2000;
const KB_PER_MB = 1000;

/** Many clients at once: whether any starves, the cost of each, and whether idle ones are served when they wake up. */
export async function many(): Promise<Row[]> {
  await using upstream = await startProgram("echo-upstream", `${CHARACTERS}`);
  await using bare = await startProgram("bare-relay", upstream.url);
  await using recorder = await startRecorder({ up: { type: "ws", url: upstream.url } });
  const rows: Row[] = [];
  const bareIdle = await openIdle(bare.url, bare.pid);
  const idle = await openIdle(recorder.address("up"), recorder.proxy.process.pid);
  rows.push({
    what: `memory of the proxy for each of ${IDLE.toLocaleString("en")} idle sessions`,
    unit: "kB",
    dewey: [idle.kbEach],
    against: "bare relay",
    other: [bareIdle.kbEach],
    compare: "ratio",
  });
  const busy = await recorder.during(() => echoLoad(recorder.address("up"), BUSY));
  rows.push(slowestRow(`${BUSY} busy sessions beside them: the slowest`, busy));
  await idle.wake();
  await bareIdle.wake();
  await recorder.check();
  const few = await storeLoad(recorder.serverUrl, FEW_SERVER_CLIENTS);
  const crowd = await storeLoad(recorder.serverUrl, SERVER_CLIENTS);
  rows.push(
    {
      what: `storing: ${SERVER_CLIENTS.toLocaleString("en")} clients on the server`,
      unit: "calls/s",
      dewey: [crowd.rate],
      against: `${FEW_SERVER_CLIENTS} clients`,
      other: [few.rate],
      compare: "ratio",
    },
    slowestRow("… the slowest of them", crowd),
    told("… p99", "ms", [crowd.p99Ms]),
  );
  return rows;
}

/** No client may get less than half of the median. */
function slowestRow(what: string, { byClient }: Load): Row {
  return {
    what,
    unit: "calls",
    dewey: [Math.min(...byClient)],
    against: "their median",
    other: [median(byClient)],
    compare: "ratio",
    bar: { atLeast: 0.5 },
  };
}

/** Initialized, idle clients, and the memory that each costs a process. */
async function openIdle(url: string, pid: number): Promise<{ kbEach: number; wake(): Promise<void> }> {
  const beforeMb = proportionalMb(pid);
  const clients: Rpc[] = [];
  while (clients.length < IDLE) {
    const connecting = Array.from({ length: CONNECTING }, async () => {
      const client = await Rpc.open(url);
      await client.initialize();
      return client;
    });
    clients.push(...(await Promise.all(connecting)));
  }
  await Bun.sleep(REST_MS);
  return {
    kbEach: ((proportionalMb(pid) - beforeMb) * KB_PER_MB) / IDLE,
    /** Checks that each is still served. */
    async wake() {
      await Promise.all(clients.map((client) => client.call("tools/call", { name: "echo", arguments: {} })));
      for (const client of clients) client.close();
    },
  };
}

function echoLoad(url: string, clients: number): Promise<Load> {
  const text = "y".repeat(CHARACTERS);
  return closedLoop({
    urls: Array.from({ length: clients }, () => url),
    warmUpMs: WARM_UP_MS,
    durationMs: DURATION_MS,
    frame: (_, id) => toolFrame(id, "echo", { text }),
  });
}

async function storeLoad(url: string, clients: number): Promise<Load> {
  const rpc = await Rpc.open(url);
  await rpc.initialize();
  const conversations: string[] = [];
  for (let number = 0; number < FEW_SERVER_CLIENTS; number++) {
    const conversation_id = Bun.randomUUIDv7();
    await rpc.tool("dewey_begin_conversation", { conversation_id });
    conversations.push(conversation_id);
  }
  rpc.close();
  const content = "y".repeat(CHARACTERS);
  return closedLoop({
    urls: Array.from({ length: clients }, () => url),
    warmUpMs: WARM_UP_MS,
    durationMs: DURATION_MS,
    frame: (client, id) =>
      toolFrame(id, "dewey_store_message", {
        conversation_id: conversations[client % conversations.length],
        role: "user",
        content,
      }),
  });
}
