import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { groupOf, groups, testFiles } from "./groups.ts";

const root = join(import.meta.dir, "../..");
const files = testFiles();

describe("the groups of tests", () => {
  test("hold every test file once among them", () => {
    const all = groups.flatMap((group) => printed(group));
    expect(all.toSorted()).toEqual(files.map((file) => `./${file}`));
  });

  test("run by a command of their own", () => {
    for (const group of groups) expect(packageJson.scripts[`test:${group}`]).toContain(`group-files.ts ${group}`);
  });

  test("follow from the imports of a file, whatever lies between", () => {
    expect(groupOf("test/wire/frame.test.ts")).toBe("unit");
    expect(groupOf("test/store/messages.test.ts")).toBe("store");
    expect(groupOf("test/mcp/listener.test.ts")).toBe("store");
    expect(groupOf("test/e2e/hostile.test.ts")).toBe("e2e");
    expect(groupOf("test/e2e/conformance.test.ts")).toBe("e2e");
  });

  // The imports tell nothing of a file that finds the binary, or a PostgreSQL, without support/.
  const roundabout = /dist\/dewey|\/usr\/lib\/postgresql|engine\/postgres\.tar/;
  for (const group of ["unit", "store"] as const) {
    test(`hold in ${group} no file that names the binary or a PostgreSQL itself`, () => {
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
