import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../package.json" with { type: "json" };

// What GitHub reads of this repository: workflows and the forms of issues.

const root = join(import.meta.dir, "..");

interface Workflow {
  jobs: Record<string, { needs?: string | string[]; steps: { uses?: string; run?: string }[] }>;
}
interface Form {
  name: string;
  description: string;
  body: { type: string; id: string; attributes: { label: string }; validations?: { required?: boolean } }[];
}

const parsed = <Kind>(folder: string): [string, Kind][] =>
  readdirSync(join(root, ".github", folder))
    .filter((name) => name !== "config.yml")
    .map((name) => [name, Bun.YAML.parse(readFileSync(join(root, ".github", folder, name), "utf8")) as Kind]);

const workflows = parsed<Workflow>("workflows");

describe.each(workflows)("the workflow %s", (_, { jobs }) => {
  const steps = Object.values(jobs).flatMap((job) => job.steps);

  test("runs scripts and files of this repository that there are", () => {
    const commands = steps.flatMap(({ run }) => run?.split("\n") ?? []);
    const scripts = commands.flatMap((line) => /\bbun run ([\w:-]+)/.exec(line)?.[1] ?? []);
    expect(scripts.filter((name) => !(name in packageJson.scripts))).toEqual([]);
    const files = commands.filter((line) => line.startsWith(".ci/"));
    expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
    expect(scripts.length + files.length).toBeGreaterThan(0);
  });

  test("has jobs whose needs are jobs, and steps that either use an action of a version or run", () => {
    const needed = Object.values(jobs).flatMap(({ needs }) => needs ?? []);
    expect(needed.filter((name) => !(name in jobs))).toEqual([]);
    for (const { uses, run } of steps) {
      expect([uses, run].filter((each) => each !== undefined)).toHaveLength(1);
      if (uses !== undefined) expect(uses).toMatch(/^[\w-]+\/[\w-]+@v\d+$/);
    }
  });

  test("shows what others can write to no shell", () => {
    // A branch's or an issue's name in `${{ … }}` would be part of the script.
    for (const { run } of steps) expect(run ?? "").not.toContain("${{");
  });
});

describe.each(parsed<Form>("ISSUE_TEMPLATE"))("the form %s", (_, form) => {
  test("has a name, a description, and fields with their own ids", () => {
    expect(form.name).not.toBe("");
    expect(form.description).not.toBe("");
    const ids = form.body.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { type, attributes } of form.body) {
      expect(["textarea", "input"]).toContain(type);
      expect(attributes.label).not.toBe("");
    }
  });
});

test("forms of faults ask for what the doctor says", () => {
  const forms = parsed<Form>("ISSUE_TEMPLATE").filter(([name]) => name !== "wish.yml");
  expect(forms).toHaveLength(2);
  for (const [, { body }] of forms)
    expect(body.filter(({ attributes }) => attributes.label.includes("`dewey doctor --json`"))).toMatchObject([
      { validations: { required: true } },
    ]);
});
