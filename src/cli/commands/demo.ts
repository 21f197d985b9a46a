import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serveConfig } from "../../config.ts";
import { stderrLog } from "../../log.ts";
import { openInBrowser } from "../browser.ts";
import type { Command } from "../command.ts";
import { aborted } from "../signals.ts";

export const demo: Command = {
  name: "demo",
  summary: "shows the page with invented talks, which are gone afterwards",
  usage: ["dewey demo [--port PORT]"],
  about:
    "Runs a server of its own with a data folder of its own, beside yours, and opens its page. Ctrl-C removes both.",
  examples: ["dewey demo"],
  settings: [],
  flags: { port: { value: "PORT", summary: "where it listens (default: a free port)" } },
  operands: 0,
  async run(invocation) {
    const { print, version, stopping, env } = invocation;
    const dataDir = mkdtempSync(join(tmpdir(), "dewey-demo-"));
    await using stack = new AsyncDisposableStack();
    stack.defer(() => rmSync(dataDir, { recursive: true, force: true }));
    // Nothing of the person's configuration: the demonstration must not reach their store.
    const flags = { port: "0", ...invocation.flags, host: "127.0.0.1", "data-dir": dataDir };
    const config = serveConfig({ env: {}, flags });
    print("Preparing the demonstration …\n");
    const [{ startServer }, { storeDemo }] = await Promise.all([import("../server.ts"), import("../demo/store.ts")]);
    const server = await startServer({ config, log: stderrLog("warn"), version });
    stack.defer(() => server.stop());
    const { port } = server.listener;
    await storeDemo(`ws://localhost:${port}`, Date.now());
    if (stopping.aborted) return 0;
    const address = `http://localhost:${port}/`;
    print(`The page is at ${address}\nCtrl-C ends it and removes its data.\n`);
    await openInBrowser(address, env);
    await aborted(stopping);
    return 0;
  },
};
