import { beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exposedMetrics } from "../support/exposed-metrics.ts";
import { engines } from "../support/postgres.ts";

const folder = join(import.meta.dir, "../../deploy/prometheus");
const promtool = Bun.which("promtool");
const [engine] = engines;
if (!engine) throw new Error("there is no PostgreSQL");
if (promtool === null) console.warn("the metrics and alerts are not checked by promtool: it is not here");

interface Rule {
  alert: string;
  expr: string;
  labels: { severity: string };
  annotations: { summary: string };
}
const { groups } = Bun.YAML.parse(readFileSync(join(folder, "alerts.yml"), "utf8")) as { groups: { rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);

/** Runs promtool; its exit code tells. */
async function check(args: string[], input = ""): Promise<{ code: number; said: string }> {
  const child = Bun.spawn([promtool ?? "", ...args], {
    cwd: folder,
    stdin: new Blob([input]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const said = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, said: said.join("") };
}

/** The metrics that a query names. A histogram's samples end with what they are. */
function metricsIn(query: string): string[] {
  const names = query.match(/\b(?:dewey|process)_\w+(?=[{[\s)]|$)/g) ?? [];
  return names.map((name) => name.replace(/_(?:bucket|sum|count)$/, ""));
}

describe("what /metrics has", () => {
  let texts: Awaited<ReturnType<typeof exposedMetrics>>;
  const samples = (text: string) => text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  beforeAll(async () => {
    texts = await exposedMetrics(engine);
  });

  test("is the state of the database, the build, the process and the event loop", () => {
    for (const name of [
      "dewey_database_up 1",
      "dewey_database_writable 1",
      "dewey_build_info{",
      "dewey_stored_bytes_total ",
    ])
      expect(texts.server).toContain(`\n${name}`);
    expect(Number(/^dewey_database_size_bytes (\d+)$/m.exec(texts.server)?.[1])).toBeGreaterThan(1_000_000);
    for (const text of Object.values(texts)) {
      for (const name of ["cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds"])
        expect(Number(new RegExp(`^process_${name} ([0-9.e+]+)$`, "m").exec(text)?.[1])).toBeGreaterThan(0);
      expect(text).toContain("\ndewey_event_loop_delay_seconds_count ");
      expect(text).toContain('\ndewey_auth_refusals_total{status="401"} 0');
    }
    const startedSeconds = Number(/^process_start_time_seconds ([0-9.]+)$/m.exec(texts.server)?.[1]);
    expect(Math.abs(Date.now() / 1000 - performance.now() / 1000 - startedSeconds)).toBeLessThan(5);
  });

  test("is there from the start, at zero", () => {
    for (const outcome of ["ok", "invalid", "not_found", "conflict", "unauthorized", "unavailable", "internal"])
      expect(texts.server).toContain(
        `\ndewey_tool_calls_total{tool="dewey_delete_conversation",outcome="${outcome}"} 0\n`,
      );
    expect(texts.server).toContain('\ndewey_tool_call_duration_seconds_count{tool="dewey_delete_conversation"} 0\n');
    expect(texts.proxy).toContain(
      '\ndewey_proxy_call_duration_seconds_count{upstream="echo",outcome="unavailable"} 0\n',
    );
  });

  test("names no sample twice", () => {
    for (const text of Object.values(texts)) {
      const names = samples(text).map((line) => line.slice(0, line.lastIndexOf(" ")));
      expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
    }
  });

  test("is all that alerts and dashboard ask for", () => {
    const known = new Set(
      [
        ...Object.values(texts)
          .join("")
          .matchAll(/^# TYPE (\w+) /gm),
      ].map(([, name]) => name),
    );
    const dashboard = readFileSync(join(folder, "../grafana/dewey.json"), "utf8");
    const { panels, templating } = JSON.parse(dashboard) as {
      panels: { title: string; targets?: { expr: string }[] }[];
      templating: { list: { query?: string | { query: string } }[] };
    };
    const asked = [
      ...rules.map(({ expr }) => expr),
      ...panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
      ...templating.list.map(({ query }) => (typeof query === "object" ? query.query : "")),
    ];
    expect(asked.length).toBeGreaterThan(40);
    const names = new Set(asked.flatMap(metricsIn));
    expect(names.size).toBeGreaterThan(25);
    expect([...names].filter((name) => !known.has(name))).toEqual([]);
  });

  test.skipIf(promtool === null)("follows Prometheus' conventions, as promtool knows them", async () => {
    for (const text of Object.values(texts))
      expect(await check(["check", "metrics"], text)).toEqual({ code: 0, said: "" });
    expect((await check(["check", "metrics"], "# TYPE bad_total gauge\nbad_total 1\n")).code).not.toBe(0);
  });
});

describe("the alerts", () => {
  test("say whom they wake, and about what", () => {
    for (const { labels, annotations } of rules) {
      expect(["page", "ticket"]).toContain(labels.severity);
      expect(annotations.summary).not.toBe("");
    }
  });

  test.skipIf(promtool === null)("and the configuration that names them are right", async () => {
    expect(await check(["check", "rules", "alerts.yml"])).toMatchObject({ code: 0 });
    expect(await check(["check", "config", "--syntax-only", "prometheus.yml"])).toMatchObject({ code: 0 });
  });

  test.skipIf(promtool === null)("fire when they should, and not before", async () => {
    expect(await check(["test", "rules", "alerts.test.yml"])).toMatchObject({ code: 0 });
    // A rule that never fires is noticed.
    const other = mkdtempSync(join(tmpdir(), "dewey-alerts-"));
    const text = readFileSync(join(folder, "alerts.yml"), "utf8");
    writeFileSync(join(other, "alerts.yml"), text.replace("dewey_database_up == 0", "dewey_database_up == 2"));
    writeFileSync(join(other, "alerts.test.yml"), readFileSync(join(folder, "alerts.test.yml")));
    expect((await check(["test", "rules", join(other, "alerts.test.yml")])).code).not.toBe(0);
    rmSync(other, { recursive: true });
  });
});
