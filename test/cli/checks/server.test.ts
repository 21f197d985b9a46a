import { expect, test } from "bun:test";
import { server } from "../../../src/cli/checks/server.ts";
import type { Invocation } from "../../../src/cli/command.ts";

test("the check of the server names redaction patterns that were ended", async () => {
  const health: Record<string, unknown> = { status: "ok", version: "1.2.3", database: "ok" };
  using answering = Bun.serve({ port: 0, fetch: () => Response.json(health) });
  const invocation = {
    env: { DEWEY_URL: `ws://localhost:${answering.port}` },
    flags: {},
    operands: [],
    version: "1.2.3",
  } as unknown as Invocation;
  expect(await server(invocation)).toMatchObject({ state: "ok" });
  health["ended_redactions"] = { ticket: 3 };
  expect(await server(invocation)).toMatchObject({
    state: "fault",
    text: expect.stringContaining("ticket (on 3 texts)"),
    remedy: expect.stringContaining("restart the server"),
  });
});
