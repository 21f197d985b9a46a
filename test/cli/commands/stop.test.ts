import { describe, expect, test } from "bun:test";
import { stop } from "../../../src/cli/commands/stop.ts";
import type { Invocation } from "../../../src/cli/command.ts";
import { failure } from "../../support/failure.ts";
import { silentServer } from "../../support/silent-server.ts";

/** Runs the command against a port, and returns what it printed. */
async function stopAt(port: number): Promise<string> {
  let printed = "";
  const print = (text: string) => void (printed += text);
  await stop.run({
    env: { DEWEY_URL: `ws://localhost:${port}` },
    flags: {},
    operands: [],
    print,
  } as unknown as Invocation);
  return printed;
}

describe("dewey stop", () => {
  // Only Linux tells which process listens on a port.
  test.skipIf(process.platform !== "linux")(
    "leaves a program alone that passes connections on to a server",
    async () => {
      const passing = `console.log(Bun.serve({ port: 0, fetch: () => Response.json({ database: "ok" }) }).port)`;
      await using tunnel = Bun.spawn([process.execPath, "-e", passing], { stdout: "pipe" });
      const { value } = await tunnel.stdout.getReader().read();
      const port = Number(new TextDecoder().decode(value));
      expect(await failure(stopAt(port))).toMatchObject({
        code: "invalid",
        message: expect.stringMatching(/belongs to \S+, which is no server of Dewey's; stop the server where it was/),
      });
      expect(tunnel.exitCode).toBeNull();
      tunnel.kill("SIGKILL");
      await tunnel.exited;
      expect(tunnel.signalCode).toBe("SIGKILL");
      expect(await stopAt(port)).toStartWith("No Dewey server runs at");
    },
  );

  test.skipIf(process.platform !== "linux")("stops a server that answers no request", async () => {
    await using silent = await silentServer();
    expect(await stopAt(silent.port)).toStartWith("Stopped the server at");
    await silent.process.exited;
    expect(silent.process.signalCode).toBe("SIGTERM");
  });
});
