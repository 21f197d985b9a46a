import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startServe } from "../support/binary.ts";
import { startChains } from "../support/conformance-chains.ts";
import { explainedInSessions, explainedWithoutSessions, unexplained } from "../support/conformance-of-serve.ts";
import { differences, runSuite, sessionSuite, statelessSuite } from "../support/conformance-suite.ts";
import { temporaryHome } from "../support/home.ts";

// MCP's conformance suite reports the same for a server and for that server behind the compiled proxy.

let chains: Awaited<ReturnType<typeof startChains>>;
let direct: string[];

beforeAll(async () => {
  chains = await startChains();
  direct = await runSuite(sessionSuite, chains.direct);
});
afterAll(() => chains[Symbol.asyncDispose]());

test("the server itself passes every check, so its failures cannot hide any of the proxy", () => {
  expect(direct.filter((check) => check.endsWith("FAILURE"))).toEqual([]);
  expect(direct.filter((check) => check.endsWith("SUCCESS")).length).toBeGreaterThanOrEqual(44);
});

describe("every conformance check has the same status directly and through", () => {
  for (const wires of ["HTTP → HTTP", "HTTP → stdio", "HTTP → WebSocket proxy → HTTP"]) {
    test.concurrent(wires, async () => {
      expect(differences(direct, await runSuite(sessionSuite, chains.proxied[wires] ?? ""))).toEqual([]);
    });
  }
});

describe("every check of the stateless revision has the same status directly and through", () => {
  let alone: string[];
  beforeAll(async () => {
    alone = await runSuite(statelessSuite, chains.stateless.direct);
  });

  for (const wires of ["HTTP → HTTP", "HTTP → stdio"]) {
    test(wires, async () => {
      expect(differences(alone, await runSuite(statelessSuite, chains.stateless.proxied[wires] ?? ""))).toEqual([]);
      // The server lacks some features that the suite tests; most must work for the comparison to mean anything.
      expect(alone.filter((check) => check.endsWith("SUCCESS")).length).toBeGreaterThanOrEqual(100);
    });
  }
});

test("dewey serve passes every check of both eras, except for those of what only the suite's example server has", async () => {
  using home = temporaryHome();
  const { running, url } = await startServe(home.path);
  await using _ = running;
  // The suite asks with the Origin of this very address, which must be accepted, and with another, which must not.
  const address = url.replace("ws://127.0.0.1", "http://localhost").replace(/\/$/, "/mcp");
  const sessions = await runSuite(sessionSuite, address);
  const stateless = await runSuite(statelessSuite, address);
  expect(unexplained(sessions, explainedInSessions)).toEqual([]);
  expect(unexplained(stateless, explainedWithoutSessions)).toEqual([]);
  const successes = (checks: string[]) => checks.filter((check) => check.endsWith("SUCCESS")).length;
  expect([successes(sessions) >= 10, successes(stateless) >= 95]).toEqual([true, true]);
});
