import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { groupOf, groups, testFiles } from "./groups.ts";

const root = join(import.meta.dir, "../..");
const files = testFiles();

describe("the test groups", () => {
  test("together contain every test file exactly once", () => {
    const all = groups.flatMap((group) => printed(group));
    expect(all.toSorted()).toEqual(files.map((file) => `./${file}`));
  });

  test("each have a command", () => {
    for (const group of groups) expect(packageJson.scripts[`test:${group}`]).toContain(`group-files.ts ${group}`);
  });

  test("follow from direct and indirect imports", () => {
    expect(groupOf("test/wire/frame.test.ts")).toBe("unit");
    expect(groupOf("test/store/redact/linear.test.ts")).toBe("growth");
    expect(groupOf("test/store/messages.test.ts")).toBe("store");
    expect(groupOf("test/mcp/listener.test.ts")).toBe("store");
    expect(groupOf("test/e2e/hostile.test.ts")).toBe("e2e");
    expect(groupOf("test/e2e/conformance.test.ts")).toBe("e2e");
  });

  // Imports cannot show that a file finds the binary or a PostgreSQL on its own.
  const roundabout = /dist\/dewey|\/usr\/lib\/postgresql|engine\/postgres\.tar/;
  for (const group of ["unit", "growth", "store"] as const) {
    test(`have no file in ${group} that names the path of the binary or of a PostgreSQL`, () => {
      const here = files.filter((file) => groupOf(file) === group && file !== "test/support/groups.test.ts");
      const found = here.filter((file) => roundabout.test(readFileSync(join(root, file), "utf8")));
      expect(found).toEqual([]);
    });
  }
});

function printed(group: string): string[] {
  const script = join(root, "test/support/group-files.ts");
  const { stdout } = Bun.spawnSync([process.execPath, script, group], { stderr: "inherit" });
  return stdout.toString().trim().split(" ");
}
