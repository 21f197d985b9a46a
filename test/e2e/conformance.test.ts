import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startChains } from "../support/conformance-chains.ts";
import { differences, runSuite, sessionSuite, statelessSuite } from "../support/conformance-suite.ts";

// MCP's own conformance suite sees no difference between a server and the same server behind the compiled proxy.

let chains: Awaited<ReturnType<typeof startChains>>;
let direct: string[];

beforeAll(async () => {
  chains = await startChains();
  direct = await runSuite(sessionSuite, chains.direct);
}, 60_000);
afterAll(() => chains[Symbol.asyncDispose]());

test("the server that the chains lead to fails no check by itself, so that nothing hides behind its failures", () => {
  expect(direct.filter((check) => check.endsWith("FAILURE"))).toEqual([]);
  expect(direct.filter((check) => check.endsWith("SUCCESS")).length).toBeGreaterThanOrEqual(44);
});

describe("every check of the conformance suite has the same status as direct through", () => {
  for (const wires of ["HTTP → HTTP", "HTTP → stdio", "HTTP → WebSocket proxy → HTTP"]) {
    test.concurrent(
      wires,
      async () => {
        expect(differences(direct, await runSuite(sessionSuite, chains.proxied[wires] ?? ""))).toEqual([]);
      },
      240_000,
    );
  }
});

test("so has every check at the revision without sessions, of which the relay knows nothing, through HTTP → HTTP", async () => {
  const { stateless } = chains;
  const [alone, proxied] = await Promise.all(
    [stateless.direct, stateless.proxied].map((url) => runSuite(statelessSuite, url)),
  );
  expect(differences(alone ?? [], proxied ?? [])).toEqual([]);
  // The server does not do all that the suite asks for; most of it must work, or the comparison would say little.
  expect((alone ?? []).filter((check) => check.endsWith("SUCCESS")).length).toBeGreaterThanOrEqual(100);
}, 60_000);
