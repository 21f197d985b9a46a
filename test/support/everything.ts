import { runEnvironment } from "./leftovers.ts";
import { freePort } from "./ports.ts";
import { until } from "./rpc.ts";

/** The entry point of MCP's reference server. */
export const everythingProgram = import.meta
  .resolve("@modelcontextprotocol/server-everything/dist/index.js")
  .replace("file://", "");

/** `@modelcontextprotocol/server-everything` over Streamable HTTP, on a free port. */
export async function startEverythingHttp(): Promise<{ url: string; stop(): Promise<unknown> }> {
  const port = freePort();
  const child = Bun.spawn([process.execPath, everythingProgram, "streamableHttp"], {
    env: { PATH: process.env["PATH"] ?? "", PORT: `${port}`, ...runEnvironment() },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  const url = `http://127.0.0.1:${port}/mcp`;
  await until("server-everything", () =>
    fetch(url).then(
      () => true,
      () => false,
    ),
  );
  return {
    url,
    stop() {
      child.kill("SIGKILL");
      return child.exited;
    },
  };
}
