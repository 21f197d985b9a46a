import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const program = `
const listener = Bun.listen({ port: 0, hostname: "127.0.0.1", socket: { data: (socket) => void socket.end() } });
console.log(listener.port);
`;

/** A process that looks like `dewey serve`, and answers no request: as one that is busy, or wants TLS. */
export async function silentServer() {
  const folder = mkdtempSync(join(tmpdir(), "dewey-silent-"));
  writeFileSync(join(folder, "main.ts"), program);
  const child = Bun.spawn([process.execPath, join(folder, "main.ts"), "serve"], { stdout: "pipe" });
  const { value } = await child.stdout.getReader().read();
  return {
    process: child,
    port: Number(new TextDecoder().decode(value)),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(folder, { recursive: true });
    },
  };
}
