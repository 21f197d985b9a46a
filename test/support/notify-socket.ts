import { join } from "node:path";
import { until } from "./rpc.ts";

/** Neither Bun nor Node can receive datagrams on a Unix socket. */
const python = Bun.which("python3");
export const hasPython = python !== null;

const RECEIVER = `
import socket, sys
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1].replace("@", "\\0", 1) if sys.argv[1].startswith("@") else sys.argv[1])
print("bound", flush=True)
while True: print(receiver.recv(4096).decode().strip(), flush=True)
`;

/** A real socket as systemd listens on it, and what it has received. It ends with the block. */
export async function notifySocket(
  folder: string,
  path = join(folder, "notify"),
): Promise<{ path: string; received: () => string[] } & AsyncDisposable> {
  const child = Bun.spawn([python ?? "", "-c", RECEIVER, path], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  let text = "";
  void (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) text += decoder.decode(chunk, { stream: true });
  })();
  await until("the socket", () => text.startsWith("bound\n"));
  return {
    path,
    received: () => text.split("\n").slice(1, -1),
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.exited;
    },
  };
}
