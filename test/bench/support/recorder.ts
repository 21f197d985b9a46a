import { join } from "node:path";
import { writeFileSync } from "node:fs";
import { start, startServe } from "../../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../../support/home.ts";
import type { Running } from "../../support/binary.ts";
import { connect } from "../../support/postgres.ts";
import { until } from "../../support/rpc.ts";
import { embeddedConnection } from "./dewey.ts";
import type { Load } from "./load.ts";

/** Deadline for the delivery of all records after the load. */
const DELIVERY_DEADLINE_MS = 240_000;

export interface Recorder extends AsyncDisposable {
  /** The proxy's address for an upstream, over WebSocket and over Streamable HTTP. */
  address(upstream: string): string;
  httpAddress(upstream: string): string;
  /** The server's address. */
  serverUrl: string;
  proxy: Running;
  server: Running;
  /** Runs a load through the proxy and waits until all records are delivered, so that the next load has the machine to itself. */
  during(work: () => Promise<Load>): Promise<Load>;
  /** Throws unless every answered call is in the database with its result. */
  check(): Promise<void>;
}

/** A proxy that records its upstreams into its own server. */
export async function startRecorder(mcpServers: Record<string, object>): Promise<Recorder> {
  await using stack = new AsyncDisposableStack();
  const home = stack.use(temporaryHome());
  const server = await startServe(home.path);
  stack.defer(async () => void (await server.running.stop()));
  const config = join(home.path, "proxy.json");
  writeFileSync(config, JSON.stringify({ mcpServers }));
  const flags = ["--port", "0", "--config", config, "--spool-dir", join(home.path, "spool"), "--url", server.url];
  const proxy = start(["proxy", ...flags], plainEnvironment(home.path));
  stack.defer(async () => void (await proxy.stop()));
  const [, url = ""] = await proxy.until("stderr", /"event":"relaying","url":"([^"]+)"/);
  const health = `${url.replace("ws", "http")}healthz`;
  let answered = 0;
  const owned = stack.move();
  return {
    address: (upstream) => `${url}?upstream=${upstream}`,
    httpAddress: (upstream) => `${url.replace("ws", "http")}mcp?upstream=${upstream}`,
    serverUrl: server.url,
    proxy,
    server: server.running,
    async during(work) {
      const done = await work();
      answered += done.byClient.reduce((sum, each) => sum + each, 0);
      await delivered(health);
      return done;
    },
    async check() {
      await delivered(health);
      await using sql = connect(embeddedConnection(home.path));
      await until("the recorded calls", async () => {
        const [row] = await sql`select count(*) filter (where role = 'user')::integer as calls,
          count(*) filter (where role = 'assistant')::integer as answers from messages`;
        return row.calls >= answered && row.answers >= answered;
      });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function delivered(health: string): Promise<void> {
  const deadlineMs = performance.now() + DELIVERY_DEADLINE_MS;
  while ((await queuedBytes(health)) > 0) {
    if (performance.now() > deadlineMs) throw new Error("the records were not delivered in time");
    await Bun.sleep(100);
  }
}

async function queuedBytes(health: string): Promise<number> {
  const answer = (await (await fetch(health)).json()) as { recorder: { queued_bytes: number; lost_frames: number } };
  const { queued_bytes, lost_frames } = answer.recorder;
  if (lost_frames > 0) throw new Error(`${lost_frames} frames were lost`);
  return queued_bytes;
}
