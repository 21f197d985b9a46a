import { runEnvironment } from "./leftovers.ts";
import { freePort } from "./ports.ts";
import { until } from "./rpc.ts";

/** The entry point of MCP's reference server. */
export const everythingProgram = import.meta
  .resolve("@modelcontextprotocol/server-everything/dist/index.js")
  .replace("file://", "");

/** `@modelcontextprotocol/server-everything` over Streamable HTTP, or the older HTTP+SSE, on a free port. */
export async function startEverythingHttp(
  transport: "streamableHttp" | "sse" = "streamableHttp",
): Promise<{ url: string; stop(): Promise<unknown> }> {
  const port = freePort();
  const child = Bun.spawn([process.execPath, everythingProgram, transport], {
    env: { PATH: process.env["PATH"] ?? "", PORT: `${port}`, ...runEnvironment() },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  const url = `http://127.0.0.1:${port}/${transport === "sse" ? "sse" : "mcp"}`;
  await until("server-everything", () =>
    fetch(url, { method: "OPTIONS" }).then(
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
