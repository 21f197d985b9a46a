import { startChains } from "../support/conformance-chains.ts";
import { differences, runSuite, sessionSuite, statelessSuite } from "../support/conformance-suite.ts";
import { leaveNothing } from "../support/leftovers.ts";
import type { Suite } from "../support/conformance-suite.ts";

// `bun run conformance`: runs MCP's conformance suite directly and through the proxy, and compares the results.

leaveNothing();
await using chains = await startChains();
await compare("with sessions", sessionSuite, chains.direct, chains.proxied);
await compare("without sessions (2026-07-28)", statelessSuite, chains.stateless.direct, {
  "HTTP → HTTP": chains.stateless.proxied,
});

async function compare(name: string, suite: Suite, url: string, proxies: Record<string, string>): Promise<void> {
  const direct = await runSuite(suite, url);
  console.log(`${name}, direct: ${count(direct)}`);
  for (const [wires, proxyUrl] of Object.entries(proxies)) {
    const proxied = await runSuite(suite, proxyUrl);
    const lines = differences(direct, proxied).map((line) => `\n  ${line}`);
    console.log(`${name}, ${wires}: ${count(proxied)}, ${lines.length} differences`, ...lines);
    if (lines.length > 0) process.exitCode = 1;
  }
}

function count(checks: string[]): string {
  const of = (status: string) => checks.filter((check) => check.endsWith(`: ${status}`)).length;
  return `${checks.length} checks, ${of("SUCCESS")} successes, ${of("FAILURE")} failures`;
}
