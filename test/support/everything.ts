import { join } from "node:path";
import { freePort } from "./ports.ts";
import { until } from "./rpc.ts";

/** `@modelcontextprotocol/server-everything` over Streamable HTTP, on a free port. */
export async function startEverythingHttp(): Promise<{ url: string; stop(): Promise<unknown> }> {
  const program = join(import.meta.dir, "../../node_modules/@modelcontextprotocol/server-everything/dist/index.js");
  const port = freePort();
  const child = Bun.spawn([process.execPath, program, "streamableHttp"], {
    env: { PATH: process.env["PATH"] ?? "", PORT: `${port}` },
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
