import { ToolClient } from "../../src/tool-client.ts";
import type { Running } from "../support/binary.ts";
import { startServe } from "../support/binary.ts";
import { temporaryHome } from "../support/home.ts";
import { connect } from "../support/postgres.ts";
import { embeddedConnection } from "./support/dewey.ts";
import { BUSY_SESSION, conversationId, fillStore } from "./support/grown-store.ts";
import type { Size } from "./support/grown-store.ts";
import { sizeOption } from "./support/options.ts";
import type { Row } from "./support/row.ts";
import { Writer } from "./support/text.ts";

/** Defaults of `--conversations N` and `--turns N`, the size of the larger store; a million of each takes long. */
const DEFAULT_SIZE = 100_000;
/** Below this, a tenth has too few pages for a deep one, and too few conversations to delete. */
const LEAST_SIZE = 20_000;
const GROWTH = 10;
const MOST_GROWTH = 1.3;
const ROUNDS = 5;
/** Calls per case, round and store. */
const CALLS = 40;
/** Warm-up calls per case. */
const WARM_UP_CALLS = 20;
/** Position of "deep", as a share of the list. */
const DEPTH = 0.9;

/** A store, and the state that the cases keep for it. */
interface Grown {
  client: ToolClient;
  size: Size;
  random: Writer;
  /** Number of conversations deleted so far: each can be deleted only once. */
  deleted: number;
  /** The next cursor of each list. */
  cursors: Map<string, string>;
}

interface Case {
  what: string;
  call(store: Grown): Promise<unknown>;
  /** Reported for comparison only, without a bar. */
  unjudged?: true;
}

/**
 * The duration of calls on a store of some size and on one a tenth of it: the same call alternates between both, so that
 * slow moments of the machine affect both.
 */
export async function growth(): Promise<Row[]> {
  const size = {
    conversations: sizeOption("conversations", DEFAULT_SIZE, LEAST_SIZE),
    turns: sizeOption("turns", DEFAULT_SIZE, LEAST_SIZE),
  };
  const small = { conversations: size.conversations / GROWTH, turns: size.turns / GROWTH };
  await using stores = await open([small, size]);
  const [little, much] = stores.grown;
  if (little === undefined || much === undefined) throw new Error("the stores were not opened");
  const rows: Row[] = [];
  for (const each of cases) {
    for (let call = 0; call < WARM_UP_CALLS; call++) for (const store of stores.grown) await each.call(store);
    const [dewey, other]: [number[], number[]] = [[], []];
    for (let round = 0; round < ROUNDS; round++) {
      const took = { little: [] as number[], much: [] as number[] };
      for (let call = 0; call < CALLS; call++) {
        took.little.push(await elapsedMs(() => each.call(little)));
        took.much.push(await elapsedMs(() => each.call(much)));
      }
      other.push(median(took.little));
      dewey.push(median(took.much));
    }
    const bar = each.unjudged ? {} : { bar: { atMost: MOST_GROWTH } };
    const against = `a tenth: ${number(small.conversations)} conversations, ${number(small.turns)} turns`;
    rows.push({ what: `growth: ${each.what}`, unit: "ms", dewey, against, other, compare: "ratio", ...bar });
  }
  return rows;
}

const cases: Case[] = [
  { what: "store in any conversation", call: (store) => storeIn(store, someConversation(store)) },
  { what: "store in the long one", call: (store) => storeIn(store, conversationId(0)) },
  {
    what: "read a page of the long one",
    call: ({ client, size, random }) =>
      client.call("dewey_get_conversation", {
        conversation_id: conversationId(0),
        after_turn: Math.floor(random.random() * size.turns * DEPTH),
      }),
  },
  { what: "list, first page", call: ({ client }) => client.call("dewey_list_conversations", {}) },
  { what: "list, deep", call: (store) => listOn(store, {}, store.size.conversations) },
  {
    what: "list by creation, deep",
    call: (store) => listOn(store, { sort_by: "created_at" }, store.size.conversations),
  },
  {
    what: "list a session, deep",
    call: (store) => listOn(store, { session_id: BUSY_SESSION }, store.size.conversations / 10),
  },
  {
    what: "list a session by creation, deep",
    call: (store) => listOn(store, { session_id: BUSY_SESSION, sort_by: "created_at" }, store.size.conversations / 10),
  },
  {
    what: "… by offset, for comparison",
    call: ({ client, size }) =>
      client.call("dewey_list_conversations", { offset: Math.floor(size.conversations * DEPTH) }),
    unjudged: true,
  },
  { what: "delete to the trash", call: (store) => remove(store, false) },
  { what: "delete for good", call: (store) => remove(store, true) },
];

function someConversation({ random, size }: Grown): string {
  // The conversations with the highest numbers are deleted at the end.
  return conversationId(1 + Math.floor(random.random() * (size.conversations / 2)));
}

function storeIn({ client, random }: Grown, conversation_id: string): Promise<unknown> {
  return client.call("dewey_store_message", { conversation_id, role: "user", content: random.text(120) });
}

/** The next page of a list, starting deep inside it, and starting there again after its end. */
async function listOn({ client, cursors }: Grown, filter: object, entries: number): Promise<void> {
  const key = JSON.stringify(filter);
  const cursor = cursors.get(key);
  const place = cursor === undefined ? { offset: Math.floor(entries * DEPTH) } : { cursor };
  const page = await client.call("dewey_list_conversations", { ...filter, ...place });
  const { next_cursor: next } = page;
  if (!Array.isArray(page["conversations"]) || page["conversations"].length === 0) throw new Error("a page is empty");
  if (typeof next === "string") cursors.set(key, next);
  else cursors.delete(key);
}

function remove(store: Grown, force: boolean): Promise<unknown> {
  const conversation_id = conversationId(store.size.conversations - store.deleted);
  store.deleted += 1;
  return store.client.call("dewey_delete_conversation", { conversation_id, force });
}

async function elapsedMs(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

async function open(sizes: Size[]): Promise<{ grown: Grown[] } & AsyncDisposable> {
  const homes = sizes.map(() => temporaryHome());
  const running: Running[] = [];
  const grown: Grown[] = [];
  const close = async () => {
    for (const { client } of grown) await client.close();
    for (const each of running) await each.stop();
    for (const home of homes) home[Symbol.dispose]();
  };
  try {
    for (const [index, size] of sizes.entries()) {
      const home = homes[index]?.path ?? "";
      const served = await startServe(home);
      running.push(served.running);
      await using sql = connect(embeddedConnection(home));
      await fillStore(sql, size);
      const client = new ToolClient({ url: served.url });
      grown.push({ client, size, random: new Writer(9), deleted: 0, cursors: new Map() });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { grown, [Symbol.asyncDispose]: close };
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

function number(value: number): string {
  return value.toLocaleString("en");
}
