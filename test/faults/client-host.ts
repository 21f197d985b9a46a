import { writeSync } from "node:fs";
import { HttpPeer, SocketPeer, StdioPeer } from "./peers.ts";
import type { Answer, Peer } from "./peers.ts";
import { Random } from "./random.ts";
import { answerOf, textOf } from "./report.ts";
import type { Report, Tool } from "./report.ts";

// A client that calls tools until told to stop, and reports on stdout what it sees. It is a separate process so that it
// can be killed and frozen. When its connection breaks, it opens another one with a new session name. `pause` and `resume`
// on stdin control it; it exits when stdin closes.

/** Longest pause between two calls of one worker. */
const MOST_IDLE_MS = 100;
/** Longest duration of a call to the slow tool. */
const MOST_SLOW_MS = 400;
const RECONNECT_PAUSE_MS = 200;

const [name = "", seed = "", wire = "", ...address] = process.argv.slice(2);
const random = new Random(Number(seed));
/** `gate` is set while the client is paused. */
const state: { gate: PromiseWithResolvers<void> | undefined; isOver: boolean } = { gate: undefined, isOver: false };
let sessions = 0;

function report(line: Report): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

function connect(session: string): Promise<Peer> | Peer {
  const onForeign = (frame: string) => report({ kind: "wrong", session, frame: frame.slice(0, 500) });
  const [first = ""] = address;
  if (wire === "stdio") return new StdioPeer(address, session, onForeign);
  const url = `${first}&session=${session}`;
  return wire === "http" ? new HttpPeer(url, session, onForeign) : SocketPeer.open(url, session, onForeign);
}

async function work(peer: Peer, session: string, next: () => number): Promise<void> {
  while (!state.gate && !state.isOver && !peer.isBroken) {
    const id = next();
    await call(peer, session, id);
    await Bun.sleep(random.next() * MOST_IDLE_MS);
  }
}

async function call(peer: Peer, session: string, id: number): Promise<void> {
  const token = `${session}c${id}`;
  const tool: Tool = random.chance(0.1) ? "progress" : random.chance(0.1) ? "fail" : "echo";
  const characters = random.chance(0.005) ? 300_000 : random.chance(0.1) ? 5000 : random.integer(0, 60);
  const text = textOf(token, characters);
  const ms = random.chance(0.2) ? random.integer(1, MOST_SLOW_MS) : 0;
  report({ kind: "sent", session, token, id, tool, characters });
  let answer: Answer;
  try {
    answer = await peer.call(id, "tools/call", {
      name: tool,
      arguments: { text, ms, steps: 3 },
      _meta: { progressToken: token },
    });
  } catch (error) {
    report({ kind: "broken", token, reason: String(error) });
    return;
  }
  const outcome = answer.error || answer.result?.["isError"] === true ? "error" : "success";
  const [block] = (answer.result?.["content"] ?? []) as { text?: string }[];
  if (answer.result && block?.text !== answerOf(tool, text)) {
    report({ kind: "wrong", session, frame: `${token} was answered ${JSON.stringify(answer).slice(0, 300)}` });
  }
  report({ kind: "answered", token, outcome });
}

/** Runs one session from start to end. */
async function session(): Promise<void> {
  sessions += 1;
  const session = `${name}x${sessions}`;
  const peer = await connect(session);
  const initialized = await peer.call(0, "initialize", {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: session, version: "1" },
  });
  if (initialized.error) {
    await peer.close();
    throw new Error(JSON.stringify(initialized.error));
  }
  await peer.notify("notifications/initialized");
  report({ kind: "session", session });
  let calls = 0;
  const next = () => (calls += 1);
  while (!state.isOver && !peer.isBroken) {
    await held();
    await Promise.all(Array.from({ length: peer.parallel }, () => work(peer, session, next)));
  }
  if (state.isOver) await peer.close();
}

async function held(): Promise<void> {
  if (!state.gate) return;
  report({ kind: "idle" });
  await state.gate.promise;
}

async function listen(): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of Bun.stdin.stream()) {
    for (const word of decoder.decode(chunk).split("\n")) {
      if (word === "pause") state.gate ??= Promise.withResolvers();
      if (word === "resume") {
        state.gate?.resolve();
        state.gate = undefined;
      }
    }
  }
  state.isOver = true;
  state.gate?.resolve();
}

void listen();
while (!state.isOver) {
  await held();
  await session().catch((error: unknown) => console.error(String(error)));
  await Bun.sleep(RECONNECT_PAUSE_MS);
}
