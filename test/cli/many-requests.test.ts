import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { withoutAdded } from "../../src/cli/many-requests.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import { until } from "../support/rpc.ts";
import { startProgram } from "../support/running.ts";

/** More than `fetch` has open at a time by itself. */
const STREAMS = 300;

test.skipIf(process.platform !== "linux")(
  "a proxy relays more streams at a time than Bun has requests open",
  async () => {
    using home = temporaryHome();
    let open = 0;
    using upstream = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      idleTimeout: 0,
      fetch() {
        open += 1;
        const begun = (controller: ReadableStreamDefaultController) => controller.enqueue(":\n\n");
        return new Response(new ReadableStream({ start: begun }), { headers: { "content-type": "text/event-stream" } });
      },
    });
    const main = join(import.meta.dir, "../../src/main.ts");
    const config = join(home.path, "mcp.json");
    writeFileSync(config, JSON.stringify({ mcpServers: { streams: { type: "http", url: upstream.url.href } } }));
    const args = ["proxy", "--port", "0", "--data-dir", home.path, "--config", config];
    await using proxy = startProgram(process.execPath, [main, ...args], plainEnvironment(home.path));
    const [, address = ""] = await proxy.until("stderr", /"event":"relaying","url":"([^"]+)"/);
    const url = address.replace(/^ws/, "http").replace(/\/?$/, "/mcp");
    let begun = 0;
    const streams = Array.from({ length: STREAMS }, () =>
      get(url, { headers: { accept: "text/event-stream" }, agent: false }, (response) => {
        if (response.statusCode === 200) begun += 1;
        response.on("error", () => {}).resume();
      }).on("error", () => {}),
    );
    await until("every stream is open", () => begun === STREAMS && open === STREAMS);
    for (const stream of streams) stream.destroy();
  },
);

test("a proxy warns of a variable that is no setting once, though it starts itself over", async () => {
  using home = temporaryHome();
  const main = join(import.meta.dir, "../../src/main.ts");
  const args = ["proxy", "--port", "0", "--data-dir", home.path];
  const env = { ...plainEnvironment(home.path), DEWEY_ODD: "1" };
  await using proxy = startProgram(process.execPath, [main, ...args], env);
  await proxy.until("stderr", /"event":"relaying"/);
  expect(proxy.stderr().split("DEWEY_ODD")).toHaveLength(2);
});

test("programs that the proxy starts see the environment that it was given", () => {
  expect(withoutAdded({ A: "1", BUN_CONFIG_MAX_HTTP_REQUESTS: "30000" })).toEqual({ A: "1" });
  expect(withoutAdded({ BUN_CONFIG_MAX_HTTP_REQUESTS: "7" })).toEqual({ BUN_CONFIG_MAX_HTTP_REQUESTS: "7" });
});
