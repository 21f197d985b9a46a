import { join } from "node:path";
import { createLog } from "../../src/log.ts";
import { startProxy } from "../../src/proxy/proxy.ts";
import { parseUpstreams } from "../../src/proxy/relay/upstreams.ts";
import { temporaryHome } from "./home.ts";
import { testListener } from "./listener.ts";
import type { Engine } from "./postgres.ts";
import { Rpc } from "./rpc.ts";

/** What a server and a proxy answer to /metrics, after a call each. */
export async function exposedMetrics(engine: Engine): Promise<{ server: string; proxy: string }> {
  using home = temporaryHome();
  await using served = await testListener(engine);
  await served.store.size.look();
  const command = { command: process.execPath, args: [join(import.meta.dir, "echo-server.ts")] };
  const dewey = { url: served.url, token: undefined };
  const proxy = startProxy({
    host: "127.0.0.1",
    port: 0,
    allowedOrigins: [],
    allowedHosts: [],
    version: "0.0.0",
    upstreams: parseUpstreams(JSON.stringify({ mcpServers: { echo: command } }), "test", {
      env: { PATH: process.env["PATH"] ?? "" },
      dewey,
    }),
    spool: { folder: join(home.path, "spool"), limits: { bytes: 10_000_000, ageMs: 1e9 }, sync: false },
    dewey,
    log: createLog({ level: "error", format: "text", write: () => {} }),
  });
  try {
    const rpc = await Rpc.open(`${proxy.url}?upstream=echo`);
    await rpc.initialize();
    await rpc.tool("echo", { text: "x" });
    const read = async (url: string) => (await fetch(new URL("/metrics", url.replace("ws:", "http:")))).text();
    const texts = { server: await read(served.url), proxy: await read(proxy.url) };
    rpc.close();
    return texts;
  } finally {
    await proxy.stop();
  }
}
