import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { startServerIfAway } from "../../src/cli/local-server.ts";
import { temporaryHome } from "../support/home.ts";

test("a server that takes connections and does not answer is busy, and no other is started beside it", async () => {
  using home = temporaryHome();
  using busy = Bun.listen({ port: 0, hostname: "127.0.0.1", socket: { data: (socket) => void socket.end() } });
  const asking = { token: undefined, dataDir: home.path, logLevel: "error" as const };
  await startServerIfAway({ ...asking, url: `ws://localhost:${busy.port}` }, {});
  // The log of a server that is started is in its data folder.
  expect(readdirSync(home.path)).toEqual([]);
});
