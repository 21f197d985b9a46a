import { startChains } from "../support/conformance-chains.ts";
import { differences, runSuite, sessionSuite } from "../support/conformance-suite.ts";

// `bun run conformance`: what MCP's conformance suite finds through the proxy, beside what it finds without.

await using chains = await startChains();
const direct = await runSuite(sessionSuite, chains.direct);
console.log(`direct: ${count(direct)}`);
for (const [wires, url] of Object.entries(chains.proxied)) {
  const proxied = await runSuite(sessionSuite, url);
  const differing = differences(direct, proxied);
  console.log(
    `${wires}: ${count(proxied)}, ${differing.length} differences`,
    ...differing.map((line) => `\n  ${line}`),
  );
  if (differing.length > 0) process.exitCode = 1;
}

function count(checks: string[]): string {
  const of = (status: string) => checks.filter((check) => check.endsWith(`: ${status}`)).length;
  return `${checks.length} checks, ${of("SUCCESS")} successes, ${of("FAILURE")} failures`;
}
