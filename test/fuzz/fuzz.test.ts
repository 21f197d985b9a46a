import { expect, test } from "bun:test";
import { run } from "./run.ts";

test("texts of hostile shapes hold up neither server nor proxy, and come back as they were stored", async () => {
  const { totals, violations } = await run({ seed: 1, seconds: 8, say: () => {} });
  expect(violations).toEqual([]);
  expect(totals["store"]).toBeGreaterThan(0);
  expect(totals["/healthz of server"]).toBeGreaterThan(0);
});
