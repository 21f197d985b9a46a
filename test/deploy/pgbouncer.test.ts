import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { hasPgBouncer, startPgBouncer } from "../support/pgbouncer.ts";
import { emptyDatabase, engines, testStore } from "../support/postgres.ts";

const text = readFileSync(join(import.meta.dir, "../../deploy/pgbouncer.ini"), "utf8");
/** What belongs to a place: where it listens, its certificates and its users. A test has its own. */
const LOCAL = /^(listen_|auth_|client_tls_|server_tls_)/;

if (!hasPgBouncer) console.warn("deploy/pgbouncer.ini is not tested: pgbouncer is not here");

function settings(): string[] {
  const [, section = ""] = text.split("[pgbouncer]\n");
  return section.split("\n").filter((line) => line !== "" && !line.startsWith(";") && !LOCAL.test(line));
}

test("deploy/pgbouncer.ini pools transactions, and verifies the database's certificate", () => {
  expect(settings()).toContain("pool_mode = transaction");
  expect(text).toContain("\nserver_tls_sslmode = verify-full\n");
  expect(text).toContain("\nauth_type = scram-sha-256\n");
});

for (const engine of engines) {
  describe.skipIf(!hasPgBouncer)(`the PgBouncer of deploy before ${engine.name}`, () => {
    test("serves 20 stores at once", async () => {
      const connection = await emptyDatabase(engine);
      await using pooler = await startPgBouncer(connection, settings());
      await using first = await testStore(engine, { connection: pooler.connection });
      const { conversation_id } = await first.conversations.begin({});
      const stores = [];
      for (let count = 0; count < 20; count += 1)
        stores.push(await testStore(engine, { connection: pooler.connection }));
      const stored = await Promise.all(
        stores.map((store, index) => store.messages.store({ conversation_id, role: "user", content: `word${index}` })),
      );
      expect(stored.map(({ turn_number }) => turn_number).toSorted((a, b) => a - b)).toEqual(
        Array.from({ length: 20 }, (_, index) => index + 1),
      );
      expect((await first.search.find({ query: "word7", limit: 5, offset: 0 })).results).toHaveLength(1);
      await Promise.all(stores.map((store) => store.close()));
    });
  });
}
