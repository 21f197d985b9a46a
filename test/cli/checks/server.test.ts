import { expect, test } from "bun:test";
import { server } from "../../../src/cli/checks/server.ts";
import type { Invocation } from "../../../src/cli/command.ts";
import { silentServer } from "../../support/silent-server.ts";

function invocationAt(port: number | undefined): Invocation {
  const env = { DEWEY_URL: `ws://localhost:${port}` };
  return { env, flags: {}, operands: [], version: "1.2.3" } as unknown as Invocation;
}

test("the check of the server names redaction patterns that were ended", async () => {
  const health: Record<string, unknown> = { status: "ok", version: "1.2.3", database: "ok" };
  using answering = Bun.serve({ port: 0, fetch: () => Response.json(health) });
  const invocation = invocationAt(answering.port);
  expect(await server(invocation)).toMatchObject({ state: "ok" });
  health["ended_redactions"] = { ticket: 3 };
  expect(await server(invocation)).toMatchObject({
    state: "fault",
    text: expect.stringContaining("ticket (on 3 texts)"),
    remedy: expect.stringContaining("restart the server"),
  });
});

// Only Linux tells which process listens on a port.
test.skipIf(process.platform !== "linux")("a server of Dewey's that does not answer is no other program", async () => {
  await using silent = await silentServer();
  expect(await server(invocationAt(silent.port))).toMatchObject({
    state: "fault",
    text: `the Dewey server at ws://localhost:${silent.port}/ does not answer`,
    remedy: expect.stringContaining("dewey stop"),
  });
});
