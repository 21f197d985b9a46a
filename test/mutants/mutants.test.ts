import { describe, expect, test } from "bun:test";
import { placeFault, readFaults, readSources } from "./faults.ts";

// `bun run mutants` shows that the tests notice each fault; this only holds that each can still be applied.

const faults = readFaults();

describe("every fault of the lists", () => {
  test("has its text once in the source, its tests, and a name of its own", () => {
    const sources = readSources();
    const complaints = faults.flatMap((fault) => {
      const placed = placeFault(fault, sources);
      return typeof placed === "string" ? [`${fault.name}: ${placed}`] : [];
    });
    expect(complaints).toEqual([]);
    expect(faults.length).toBeGreaterThan(0);
    expect(new Set(faults.map(({ name }) => name)).size).toBe(faults.length);
  });
});

describe("a fault cannot be applied", () => {
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

  test("when it leaves no program", () => {
    expect(place("const c = a + b;", { replace: "a +" })).toStartWith("it is no TypeScript: ");
  });
});
