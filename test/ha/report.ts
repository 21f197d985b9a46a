import type { Outcome } from "./run.ts";

/** A row for each kind of strike, and the totals. */
export function table({ strikes, ...outcome }: Outcome): string {
  const kinds = [...new Set(strikes.map(({ kind }) => kind))].toSorted();
  const rows = kinds.map((kind) => {
    const of = strikes.filter((each) => each.kind === kind);
    const longest = (times: number[]) => (Math.max(...times) / 1000).toFixed(1);
    const failed = of.reduce((sum, each) => sum + each.failed, 0);
    return [
      kind,
      `${of.length}`,
      longest(of.map(({ gapMs }) => gapMs)),
      longest(of.map(({ waitMs }) => waitMs)),
      `${failed}`,
    ];
  });
  const heads = ["strike", "times", "longest gap, s", "longest wait of one call, s", "failed attempts"];
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`;
  return [
    line(heads),
    line(heads.map(() => "---")),
    ...rows.map(line),
    "",
    `${outcome.acknowledged} stores acknowledged, ${outcome.missing} missing, ${outcome.doubled} doubled`,
    `${outcome.called} calls through the proxy answered, ${outcome.callsMissing} missing, ${outcome.callsDoubled} doubled, ${outcome.redeliveries} redeliveries`,
    `Dewey's processes that ended: ${outcome.ended.join(", ") || "none"}`,
  ].join("\n");
}

/** What went against Dewey's promises. What is acknowledged may be lost where no commit waits for a standby, but never a call. */
export function brokenPromises(outcome: Outcome, isSynchronous: boolean): string[] {
  const { missing, doubled, callsMissing, callsDoubled, ended, failure } = outcome;
  const counted: [number, string][] = [
    [isSynchronous ? missing : 0, "acknowledged stores are missing"],
    [doubled, "stores are doubled"],
    [callsMissing, "recorded calls are missing"],
    [callsDoubled, "recorded calls are doubled"],
    [ended.length, "processes of Dewey's ended"],
  ];
  const broken = counted.flatMap(([count, what]) => (count > 0 ? [`BROKEN: ${count} ${what}`] : []));
  return failure === undefined ? broken : [...broken, `BROKEN: ${failure}`];
}
