import { startServe } from "../support/binary.ts";
import { startChains } from "../support/conformance-chains.ts";
import { explainedInSessions, explainedWithoutSessions, unexplained } from "../support/conformance-of-serve.ts";
import { differences, runSuite, sessionSuite, statelessSuite } from "../support/conformance-suite.ts";
import { temporaryHome } from "../support/home.ts";
import { leaveNothing } from "../support/leftovers.ts";
import type { Suite } from "../support/conformance-suite.ts";

// `bun run conformance`: runs MCP's conformance suite directly and through the proxy, and compares the results; then against
// `dewey serve` itself, and says why each of its failures is none.

leaveNothing();
await using chains = await startChains();
await compare("with sessions", sessionSuite, chains.direct, chains.proxied);
await compare("without sessions (2026-07-28)", statelessSuite, chains.stateless.direct, chains.stateless.proxied);

using home = temporaryHome();
const { running, url } = await startServe(home.path);
await using _ = running;
const address = url.replace("ws://127.0.0.1", "http://localhost").replace(/\/$/, "/mcp");
await explain("dewey serve, with sessions", sessionSuite, explainedInSessions);
await explain("dewey serve, without sessions (2026-07-28)", statelessSuite, explainedWithoutSessions);

async function explain(name: string, suite: Suite, explained: Record<string, string>): Promise<void> {
  const checks = await runSuite(suite, address);
  console.log(`${name}: ${count(checks)}`);
  for (const [check, reason] of Object.entries(explained)) console.log(`  ${check}: ${reason}`);
  const lines = unexplained(checks, explained);
  for (const line of lines) console.log(`  NOT EXPLAINED: ${line}`);
  if (lines.length > 0) process.exitCode = 1;
}

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
