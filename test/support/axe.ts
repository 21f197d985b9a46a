import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";

const axe = readFileSync(Bun.resolveSync("axe-core/axe.min.js", import.meta.dir), "utf8");

interface Violation {
  id: string;
  nodes: { html: string; failureSummary: string }[];
}

/** What axe finds wrong on a page, rule by rule. The page's context must bypass its policy, which would keep axe out. */
export async function axeViolations(page: Page): Promise<string[][]> {
  await page.addScriptTag({ content: axe });
  const violations: Violation[] = await page.evaluate("axe.run().then(({ violations }) => violations)");
  return violations.map(({ id, nodes }) => [id, ...nodes.map((node) => `${node.html} ${node.failureSummary}`)]);
}
