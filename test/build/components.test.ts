import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { componentsOf, engineComponents, packageComponent, packageFolder } from "../../src/build/components.ts";
import { hostTarget } from "../../src/build/engine.ts";
import { billOfMaterials, noticesText } from "../../src/build/notices.ts";
import { temporaryHome } from "../support/home.ts";

if (hostTarget === undefined) throw new Error("there is no PostgreSQL for this platform");
const components = await componentsOf(hostTarget);
const named = (name: string) => components.filter((each) => each.name === name);

describe("the parts of the binary", () => {
  test("are every package that is bundled, those of packages too, with their licence's text", () => {
    for (const name of Object.keys(packageJson.dependencies)) expect([name, named(name).length]).toEqual([name, 1]);
    // yauzl's own dependency, and the SDK's.
    for (const name of ["pend", "ajv"]) expect(named(name)[0]?.text).toContain("Permission is hereby granted");
    for (const name of ["typescript", "oxlint", "@modelcontextprotocol/conformance"]) expect(named(name)).toEqual([]);
  });

  test("are PostgreSQL and the libraries in its archive, and Bun with what it links", () => {
    expect(named("PostgreSQL")).toMatchObject([{ version: expect.stringMatching(/^18\.\d+$/), license: "PostgreSQL" }]);
    expect(named("OpenSSL")[0]?.version).toMatch(/^[13]\.\d+\.\d+/);
    expect(named("ICU")[0]?.version).toMatch(/^\d+\.\d+$/);
    expect(named("Bun")[0]?.version).toBe(Bun.version);
    expect(named("JavaScriptCore and WebKit")[0]?.text).toContain("GNU LIBRARY GENERAL PUBLIC LICENSE");
  });

  test("have a licence, a text and an address each, of which no two are the same", () => {
    for (const { name, license, text, purl } of components) {
      expect([name, license === "", text.length > 200]).toEqual([name, false, true]);
      expect(purl).toMatch(/^pkg:(npm|generic)\/[\w.%/@-]+$/);
    }
    expect(new Set(components.map(({ purl }) => purl)).size).toBe(components.length);
  });
});

describe("a part without a licence fails the build", () => {
  test("when a library in the archive is unknown", () => {
    const bytes = Buffer.from("");
    expect(engineComponents([{ name: "libpq.so.5.18", bytes }])).toMatchObject([{ name: "PostgreSQL" }]);
    const unknown = [
      { name: "libpq.so.5.18", bytes },
      { name: "libmystery.so.1", bytes },
    ];
    expect(() => engineComponents(unknown)).toThrow("no licence is known for libmystery.so.1");
  });

  test("when a package states none, or holds no text of it", () => {
    using home = temporaryHome();
    const write = (name: string, facts: object, text?: string) => {
      const folder = join(home.path, name);
      mkdirSync(folder);
      writeFileSync(join(folder, "package.json"), JSON.stringify({ version: "1.0.0", ...facts }));
      if (text !== undefined) writeFileSync(join(folder, "LICENCE.txt"), text);
      return folder;
    };
    const good = write("good", { license: "MIT" }, "Permission …");
    expect(packageComponent(good, "@a/good")).toMatchObject({ license: "MIT", purl: "pkg:npm/%40a/good@1.0.0" });
    for (const folder of [
      write("a", {}, "text"),
      write("b", { license: "MIT" }),
      write("c", { license: "MIT" }, " \n"),
    ])
      expect(() => packageComponent(folder, "bad")).toThrow("bad has no licence");
  });
});

test("the package of a file is the innermost one", () => {
  expect(packageFolder("/r/node_modules/a/index.js")).toBe("/r/node_modules/a");
  expect(packageFolder("/r/node_modules/@s/a/node_modules/b/lib/x.js")).toBe("/r/node_modules/@s/a/node_modules/b");
  expect(packageFolder("/r/src/main.ts")).toBeUndefined();
});

describe("what is told of the parts", () => {
  const part = { version: "1.0.0", license: "MIT", text: "the\fsame\r\ntext" };
  const parts = [
    { ...part, name: "a", purl: "pkg:npm/a@1.0.0" },
    { ...part, name: "b", version: undefined, license: "MIT AND Zlib", purl: "pkg:generic/b" },
    { ...part, name: "c", license: "LicenseRef-own", text: "another", purl: "pkg:npm/c@1.0.0" },
  ];

  test("is a list, and each text once under the parts that it is for", () => {
    const text = noticesText(parts);
    expect(text).toContain("\n  a 1.0.0: MIT\n  b: MIT AND Zlib\n  c 1.0.0: LicenseRef-own\n");
    expect(text.split("thesame\ntext")).toHaveLength(2);
    expect(text).toMatch(/=\na 1\.0\.0\nb\n=/);
    expect(text).toEndWith("\nanother\n");
  });

  test("is a bill of materials in CycloneDX", () => {
    const bom = JSON.parse(billOfMaterials(parts)) as Record<string, unknown>;
    expect(bom).toMatchObject({ bomFormat: "CycloneDX", specVersion: "1.6", version: 1 });
    expect(bom["components"]).toEqual([
      expect.objectContaining({ name: "a", version: "1.0.0", licenses: [{ license: { id: "MIT" } }] }),
      expect.objectContaining({ name: "b", licenses: [{ expression: "MIT AND Zlib" }] }),
      expect.objectContaining({ name: "c", licenses: [{ license: { name: "LicenseRef-own" } }] }),
    ]);
    expect(bom["dependencies"]).toEqual([{ ref: "dewey", dependsOn: parts.map(({ purl }) => purl) }]);
  });
});
