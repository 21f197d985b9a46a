import { startServe } from "../support/binary.ts";
import { temporaryHome } from "../support/home.ts";
import { closedLoop } from "./support/load.ts";
import type { Load } from "./support/load.ts";
import { embeddedConnection } from "./support/dewey.ts";
import { beginConversations, checkTurns, conversationId, storeFrame, textNumber, texts } from "./support/messages.ts";
import { pgbench } from "./support/pgbench.ts";
import type { Pgbench } from "./support/pgbench.ts";
import type { Row } from "./support/row.ts";
import { storeInServerMemory } from "./support/server-memory.ts";

const CONVERSATIONS = 64;
const ROUNDS = 3;
const WARM_UP_MS = 2000;
const DURATION_MS = 4000;
/** Entities in the peer's file when it is not empty: the file is reread and rewritten on every call. */
const KNOWN_TO_PEER = 10_000;

interface Round {
  many: Load;
  append50: Pgbench;
  plain50: Pgbench;
  one: Load;
  append1: Pgbench;
  plain1: Pgbench;
  same: Load;
  peer: number;
  peerKnowing: number;
}

/**
 * Storing one message per call, answered after its commit, against pgbench with Dewey's own statement (`dewey_append`, one
 * message), and with the simplest equivalent, without locks, caller ids, duplicates or errors. The peer, MCP's own
 * server-memory, has an easier job: one client, a file, no wait for the disk.
 */
export async function storing(): Promise<Row[]> {
  using home = temporaryHome();
  const { running, url } = await startServe(home.path);
  await using _ = running;
  const connection = embeddedConnection(home.path);
  await beginConversations(url, connection, CONVERSATIONS);
  const store = (clients: number, conversations: number) =>
    closedLoop({
      urls: Array.from({ length: clients }, () => url),
      warmUpMs: WARM_UP_MS,
      durationMs: DURATION_MS,
      frame: (client, id) => storeFrame(conversationId(client % conversations), id),
    });
  const bench = (clients: number, scripts: string[]) =>
    pgbench({ connection, clients, seconds: DURATION_MS / 1000, scripts });
  const peer = (known: number) =>
    storeInServerMemory({ known, warmUpMs: WARM_UP_MS, durationMs: DURATION_MS, text: textNumber });
  const rounds: Round[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    rounds.push({
      many: await store(50, 50),
      append50: await bench(50, texts.map(appendScript)),
      plain50: await bench(50, texts.map(plainScript)),
      one: await store(1, 1),
      append1: await bench(1, texts.map(appendScript)),
      plain1: await bench(1, texts.map(plainScript)),
      same: await store(64, 1),
      peer: await peer(0),
      peerKnowing: await peer(KNOWN_TO_PEER),
    });
  }
  const rate = (pick: (round: Round) => Load) => rounds.map((round) => pick(round).rate);
  const of = (name: "append50" | "plain50" | "append1" | "plain1") => rounds.map((round) => round[name].rate);
  const row = { unit: "calls/s", compare: "ratio" } as const;
  const many = rate((round) => round.many);
  const one = rate((round) => round.one);
  await checkTurns(connection);
  return [
    {
      ...row,
      what: "storing: 50 clients, 50 conversations",
      dewey: many,
      against: "pgbench 50, same statement",
      other: of("append50"),
      bar: { atLeast: 2 },
    },
    { ...row, what: "… the same", dewey: many, against: "pgbench 50, plain insert", other: of("plain50") },
    {
      ...row,
      what: "storing: 1 client",
      dewey: one,
      against: "pgbench 1, same statement",
      other: of("append1"),
      bar: { atLeast: 0.6 },
    },
    { ...row, what: "… the same", dewey: one, against: "pgbench 1, plain insert", other: of("plain1") },
    {
      ...row,
      what: "… the same",
      dewey: one,
      against: "server-memory, empty at first",
      other: rounds.map((round) => round.peer),
    },
    {
      ...row,
      what: "… the same",
      dewey: one,
      against: `server-memory, knows ${KNOWN_TO_PEER.toLocaleString("en")}`,
      other: rounds.map((round) => round.peerKnowing),
    },
    {
      ...row,
      what: "storing: 64 clients, 1 conversation",
      dewey: rate((round) => round.same),
      against: "Dewey 50 on 50",
      other: many,
      bar: { atLeast: 1 / 3 },
    },
    {
      ...row,
      unit: "ms",
      what: "storing: p99, 50 clients",
      dewey: rounds.map(({ many }) => many.p99Ms),
      against: "pgbench 50, same statement",
      other: rounds.map(({ append50 }) => append50.p99Ms),
    },
    {
      ...row,
      unit: "ms",
      what: "storing: p99, 1 client",
      dewey: rounds.map(({ one }) => one.p99Ms),
      against: "pgbench 1, same statement",
      other: rounds.map(({ append1 }) => append1.p99Ms),
    },
    {
      ...row,
      unit: "ms",
      what: "storing: p99, 64 on 1 conversation",
      dewey: rounds.map(({ same }) => same.p99Ms),
      against: "Dewey 50 on 50",
      other: rounds.map(({ many }) => many.p99Ms),
    },
  ];
}

/** Dewey's statement with one message. */
function appendScript(text: string): string {
  return `select outcome, message_id, turn_number, created_at from dewey_append(array[0], array[${clientConversation}],
    array[uuidv7()], array[null::integer], array['user'], array['${text}'], array[null::text], array[null::text],
    array[null::text], array[null::timestamptz], array[null::text], array[null::text], array[false],
    null::refcursor)`;
}

/** A minimal statement that only numbers and inserts. */
function plainScript(text: string): string {
  return `with c as (
      update conversations set last_turn = last_turn + 1, message_count = message_count + 1
      where id = ${clientConversation} returning id, last_turn
    ) insert into messages (id, conversation_id, turn_number, role, content, search)
    select uuidv7(), id, last_turn, 'user', '${text}', dewey_search_vector('${text}') from c
    returning id, turn_number, created_at`;
}

const clientConversation = "('00000000-0000-4000-8000-' || lpad((:client_id)::text, 12, '0'))::uuid";
