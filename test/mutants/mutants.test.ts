import { describe, expect, test } from "bun:test";
import { placeFault, readFaults, readSources } from "./faults.ts";

// `bun run mutants` checks that tests notice each fault; this checks only that each can still be applied.

const faults = readFaults();

describe("every fault of the lists", () => {
  test("finds its text exactly once and its tests, and has a unique name", () => {
    const sources = readSources();
    const complaints = faults.flatMap((fault) => {
      const placed = placeFault(fault, sources);
      return typeof placed === "string" ? [`${fault.name}: ${placed}`] : [];
    });
    expect(complaints).toEqual([]);
    expect(faults.length).toBeGreaterThan(0);
    const names = faults.map(({ name }) => name);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });
});

describe("a fault is rejected", () => {
  const fault = { name: "sum: subtracts", find: "a + b", replace: "a - b", tests: ["sum.test.ts"] };
  const tests = ["test/sum.test.ts", "test/checksum.test.ts"];
  const place = (text: string, more: Partial<typeof fault> = {}) =>
    placeFault({ ...fault, ...more }, new Map([["src/sum.ts", text]]), tests);

  test("unless its text is found exactly once", () => {
    expect(place("const c = a + b;")).toMatchObject({
      file: "src/sum.ts",
      text: "const c = a - b;",
      tests: ["test/sum.test.ts"],
    });
    expect(place("const c = b + a;")).toBe("its text is not found");
    expect(place("const c = a + b, d = a + b;")).toBe("its text is found 2 times: in src/sum.ts");
  });

  test("without its tests", () => {
    expect(place("const c = a + b;", { tests: ["sum.test.ts", "gone.test.ts"] })).toBe("there is no test gone.test.ts");
  });

  test("when a name is that of several tests", () => {
    const several = [...tests, "test/e2e/sum.test.ts"];
    const place = (name: string) =>
      placeFault({ ...fault, tests: [name] }, new Map([["src/sum.ts", "a + b;"]]), several);
    expect(place("sum.test.ts")).toBe(
      "sum.test.ts names 2 tests, so name its folder too: test/sum.test.ts, test/e2e/sum.test.ts",
    );
    expect(place("e2e/sum.test.ts")).toMatchObject({ tests: ["test/e2e/sum.test.ts"] });
  });

  test("when it does not parse", () => {
    expect(place("const c = a + b;", { replace: "a +" })).toStartWith("it does not parse: ");
  });
});
