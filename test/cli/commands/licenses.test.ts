import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { binary, run } from "../../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../../support/home.ts";

test("dewey licenses prints the notices of what this binary carries, as its bill of materials lists it", async () => {
  using home = temporaryHome();
  const { stdout, stderr, code } = await run(["licenses"], plainEnvironment(home.path));
  expect([code, stderr]).toEqual([0, ""]);
  expect(existsSync(`${binary}.cdx.json`)).toBe(true);
  const { components } = JSON.parse(readFileSync(`${binary}.cdx.json`, "utf8")) as {
    components: { name: string; version?: string }[];
  };
  expect(components.length).toBeGreaterThan(30);
  for (const { name, version } of components)
    expect(stdout).toContain(`\n  ${version === undefined ? name : `${name} ${version}`}: `);
  for (const words of ["PostgreSQL Global Development Group", "OpenSSL", "Unicode, Inc.", "Colin McDonnell"])
    expect(stdout).toContain(words);
});
