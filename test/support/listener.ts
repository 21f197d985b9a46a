import { startListener } from "../../src/mcp/listener.ts";
import type { Listener, ListenerOptions } from "../../src/mcp/listener.ts";
import type { Store, StoreOptions } from "../../src/store/store.ts";
import { testStore } from "./postgres.ts";
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
