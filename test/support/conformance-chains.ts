import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { start } from "./binary.ts";
import { plainEnvironment, temporaryHome } from "./home.ts";
import type { Running } from "./binary.ts";
import { conformanceCommand, startConformanceHttp } from "./conformance-server.ts";
import { freePort } from "./ports.ts";
import { startStatelessHttp, statelessCommand } from "./stateless-server.ts";

/** The addresses of one server: direct, and through the compiled proxy over different wires. */
export interface Chains {
  direct: string;
  proxied: Record<string, string>;
  /** A server of the revision without sessions. */
  stateless: { direct: string; proxied: Record<string, string> };
}

/** Starts the conformance servers and two proxies, one of them behind the other over WebSocket. */
export async function startChains(): Promise<Chains & AsyncDisposable> {
  const home = temporaryHome();
  const server = startConformanceHttp();
  const stateless = startStatelessHttp();
  const behind = await startProxy(home.path, "behind", { server: { type: "http", url: server.url } });
  const upstreams = {
    http: { type: "http", url: server.url },
    stateless: { type: "http", url: stateless.url },
    stdio: conformanceCommand,
    websocket: { type: "ws", url: `ws://localhost:${behind.port}/?upstream=server` },
  };
  // Some scenarios of the newer suite drop the URL's query, and with it the upstream's name.
  const front = await startProxy(home.path, "front", upstreams, "stateless");
  const lone = await startProxy(home.path, "lone", { stateless: statelessCommand });
  const through = (upstream: string) => `http://localhost:${front.port}/mcp?upstream=${upstream}`;
  return {
    direct: server.url,
    proxied: {
      "HTTP → HTTP": through("http"),
      "HTTP → stdio": through("stdio"),
      "HTTP → WebSocket proxy → HTTP": through("websocket"),
    },
    stateless: {
      direct: stateless.url,
      proxied: { "HTTP → HTTP": through("stateless"), "HTTP → stdio": `http://localhost:${lone.port}/mcp` },
    },
    async [Symbol.asyncDispose]() {
      await lone.running.stop();
      await front.running.stop();
      await behind.running.stop();
      await server.stop();
      await stateless.stop();
      home[Symbol.dispose]();
    },
  };
}

async function startProxy(
  home: string,
  name: string,
  mcpServers: object,
  defaultName?: string,
): Promise<{ running: Running; port: number }> {
  const config = join(home, `${name}.json`);
  writeFileSync(config, JSON.stringify({ mcpServers, default: defaultName }));
  const port = freePort();
  const args = ["proxy", "--port", `${port}`, "--config", config, "--data-dir", join(home, name)];
  const running = start([...args, "--url", `ws://127.0.0.1:${freePort()}`], plainEnvironment(home));
  await running.until("stderr", /"event":"relaying"/);
  return { running, port };
}
