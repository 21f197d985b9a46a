import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startChains } from "../support/conformance-chains.ts";
import { differences, runSuite, sessionSuite, statelessSuite } from "../support/conformance-suite.ts";

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

test("every check of the stateless revision, which the relay does not know, has the same status through HTTP → HTTP", async () => {
  const { stateless } = chains;
  const [alone, proxied] = await Promise.all(
    [stateless.direct, stateless.proxied].map((url) => runSuite(statelessSuite, url)),
  );
  expect(differences(alone ?? [], proxied ?? [])).toEqual([]);
  // The server lacks some features that the suite tests; most must work for the comparison to mean anything.
  expect((alone ?? []).filter((check) => check.endsWith("SUCCESS")).length).toBeGreaterThanOrEqual(100);
});
