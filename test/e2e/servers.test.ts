import { expect, setDefaultTimeout, test } from "bun:test";
import { databaseAddress, startServe } from "../support/binary.ts";
import { temporaryHome } from "../support/home.ts";
import { connect, emptyDatabase, engines } from "../support/postgres.ts";
import { Rpc } from "../support/rpc.ts";

setDefaultTimeout(60_000);

const SERVERS = 3;
const CLIENTS_EACH = 4;
const MESSAGES_EACH = 25;

// On a database of one's own, where there is one: that is what several servers share.
for (const engine of engines.slice(-1)) {
  test(`three servers that begin on one empty database (${engine.name}) store into one conversation side by side`, async () => {
    await using stack = new AsyncDisposableStack();
    const connection = await emptyDatabase(engine);
    const env = { DEWEY_DATABASE_URL: databaseAddress(connection) };
    // All at once: one of them makes the tables, and the others wait for it.
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
    // Each client's own messages are in its order.
    for (const turns of answered) expect(turns).toEqual(turns.toSorted((a, b) => a - b));

    // The same message over all servers at once is one message.
    const id = crypto.randomUUID();
    const repeated = await Promise.all(clients.map((rpc) => store(rpc, "sent by all", id)));
    expect(new Set(repeated.map((stored) => stored["turn_number"]))).toEqual(new Set([count + 1]));

    // What one has stored another finds at once.
    const found = await second.tool("dewey_search", { query: `"message 7 of client 0"` });
    expect(found).toMatchObject({ total: 1 });
    await using sql = connect(connection);
    const [kept] = await sql`select count(*)::integer as messages, max(turn_number) as last from messages`;
    expect(kept).toEqual({ messages: count + 1, last: count + 1 });
    const [counted] = await sql`select last_turn, message_count from conversations`;
    expect(counted).toEqual({ last_turn: count + 1, message_count: count + 1 });
  });
}
