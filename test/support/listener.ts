import { afterAll, beforeAll } from "bun:test";
import { startListener } from "../../src/mcp/listener.ts";
import type { Listener, ListenerOptions } from "../../src/mcp/listener.ts";
import type { Store, StoreOptions } from "../../src/store/store.ts";
import { ToolClient } from "../../src/tool-client.ts";
import { engines, testStore } from "./postgres.ts";
import { quiet } from "./quiet.ts";
import type { Engine } from "./postgres.ts";

/** A listener with a store of its own on a free port; both are closed when the block ends. */
export async function testListener(
  engine: Engine,
  options: { listener?: Partial<ListenerOptions>; store?: Partial<StoreOptions> } = {},
): Promise<{ listener: Listener; store: Store; url: string; httpUrl: string } & AsyncDisposable> {
  const store = await testStore(engine, options.store);
  const listener = startListener({
    store,
    host: "127.0.0.1",
    port: 0,
    allowedOrigins: [],
    allowedHosts: [],
    log: quiet,
    version: "0.0.0",
    ...options.listener,
  });
  return {
    listener,
    store,
    url: listener.url,
    httpUrl: `${listener.url.replace("ws:", "http:")}mcp`,
    async [Symbol.asyncDispose]() {
      await listener.stop();
      await store.close();
    },
  };
}

/** A listener on the first engine, and a client of it, for all tests of a file; both are there once its tests run. */
export function fileListener(): {
  readonly listener: Awaited<ReturnType<typeof testListener>>;
  readonly client: ToolClient;
} {
  const [engine] = engines;
  if (!engine) throw new Error("there is no PostgreSQL");
  let listener: Awaited<ReturnType<typeof testListener>>;
  let client: ToolClient;
  beforeAll(async () => {
    listener = await testListener(engine);
    client = new ToolClient({ url: listener.url });
  });
  afterAll(async () => {
    await client.close();
    await listener[Symbol.asyncDispose]();
  });
  return {
    get listener() {
      return listener;
    },
    get client() {
      return client;
    },
  };
}
