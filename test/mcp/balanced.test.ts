import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { testListener } from "../support/listener.ts";
import { freePort } from "../support/ports.ts";
import { emptyDatabase, engines } from "../support/postgres.ts";
import { Rpc, until } from "../support/rpc.ts";

const haproxy = Bun.which("haproxy") ?? Bun.which("/usr/sbin/haproxy");
const configuration = join(import.meta.dir, "../../deploy/haproxy.cfg");
const [engine] = engines;

if (haproxy === null) console.warn("deploy/haproxy.cfg is not tested: haproxy is not here");

/** HAProxy with the configuration of `deploy` before two servers; it ends with the block. */
async function balanced(a: string, b: string): Promise<{ url: string } & AsyncDisposable> {
  const port = freePort();
  const env = { DEWEY_BIND: `127.0.0.1:${port}`, DEWEY_A: a, DEWEY_B: b };
  // It must not outlive the tests, even if they are killed.
  const child = Bun.spawn(["setpriv", "--pdeathsig", "TERM", String(haproxy), "-db", "-f", configuration], {
    env,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  const url = `127.0.0.1:${port}`;
  await until("a server is found ready", async () => {
    const answer = await fetch(`http://${url}/readyz`).catch(() => undefined);
    return answer?.status === 200;
  });
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.exited;
    },
  };
}

describe.skipIf(haproxy === null)("two servers behind HAProxy", () => {
  test("take the place of each other while one stops, without a failed call or a refused client", async () => {
    const connection = await emptyDatabase(engine!);
    const a = await testListener(engine!, { store: { connection } });
    await using b = await testListener(engine!, { store: { connection } });
    const address = (server: typeof a) => `127.0.0.1:${server.listener.port}`;
    await using balancer = await balanced(address(a), address(b));
    const open = async () => {
      const rpc = await Rpc.open(`ws://${balancer.url}/`);
      await rpc.initialize();
      return rpc;
    };
    const clients = await Promise.all(Array.from({ length: 8 }, open));
    expect(a.listener.clients() > 0 && b.listener.clients() > 0).toBe(true);
    const begin = (rpc: Rpc) => rpc.tool("dewey_begin_conversation");
    expect(await Promise.all(clients.map(begin))).toHaveLength(8);

    const stopping = a.listener.stop();
    // Before and after the balancer has noticed.
    const others = await Promise.all(Array.from({ length: 8 }, open));
    await stopping;
    others.push(await open());
    expect(await Promise.all(others.map(begin))).toHaveLength(9);
    await a.store.close();
    for (const rpc of [...clients, ...others]) rpc.close();
  });
});
