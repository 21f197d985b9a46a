import { expect, test } from "bun:test";
import { databaseAddress, startServe } from "../support/binary.ts";
import { temporaryHome } from "../support/home.ts";
import { connect, emptyDatabase, engines } from "../support/postgres.ts";
import { Rpc } from "../support/rpc.ts";

const SERVERS = 3;
const CLIENTS_EACH = 4;
const MESSAGES_EACH = 25;

// On an external database, where one is available: several servers cannot share the embedded one.
for (const engine of engines.slice(-1)) {
  test(`three servers that start on one empty database (${engine.name}) store into one conversation concurrently`, async () => {
    await using stack = new AsyncDisposableStack();
    const connection = await emptyDatabase(engine);
    const env = { DEWEY_DATABASE_URL: databaseAddress(connection) };
    // All at once: one creates the tables while the others wait.
    const urls = await Promise.all(
      Array.from({ length: SERVERS }, async () => {
        const home = stack.use(temporaryHome());
        const { running, url } = await startServe(home.path, env);
        stack.use(running);
        return url;
      }),
    );
    const clients = await Promise.all(
      Array.from({ length: SERVERS * CLIENTS_EACH }, async (_, client) => {
        const rpc = await Rpc.open(urls[client % SERVERS] ?? "");
        stack.defer(() => rpc.close());
        await rpc.initialize();
        return rpc;
      }),
    );
    const [first, second] = clients as [Rpc, Rpc];
    const { conversation_id } = await first.tool("dewey_begin_conversation");
    const store = (rpc: Rpc, content: string, message_id = crypto.randomUUID()) =>
      rpc.tool("dewey_store_message", { conversation_id, role: "user", content, message_id });

    const answered = await Promise.all(
      clients.map(async (rpc, client) => {
        const turns: number[] = [];
        for (let number = 0; number < MESSAGES_EACH; number += 1) {
          const stored = await store(rpc, `message ${number} of client ${client}`);
          turns.push(Number(stored["turn_number"]));
        }
        return turns;
      }),
    );
    const count = clients.length * MESSAGES_EACH;
    const whole = Array.from({ length: count }, (_, index) => index + 1);
    expect(answered.flat().toSorted((a, b) => a - b)).toEqual(whole);
    // Each client's messages are in order.
    for (const turns of answered) expect(turns).toEqual(turns.toSorted((a, b) => a - b));

    // The same message sent to all servers at once is stored once.
    const id = crypto.randomUUID();
    const repeated = await Promise.all(clients.map((rpc) => store(rpc, "sent by all", id)));
    expect(new Set(repeated.map((stored) => stored["turn_number"]))).toEqual(new Set([count + 1]));

    // A message stored by one server is found by the others at once.
    const found = await second.tool("dewey_search", { query: `"message 7 of client 0"` });
    expect(found).toMatchObject({ total: 1 });
    await using sql = connect(connection);
    const [kept] = await sql`select count(*)::integer as messages, max(turn_number) as last from messages`;
    expect(kept).toEqual({ messages: count + 1, last: count + 1 });
    const [counted] = await sql`select last_turn, message_count from conversations`;
    expect(counted).toEqual({ last_turn: count + 1, message_count: count + 1 });
  });
}
