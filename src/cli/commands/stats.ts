import type { MeaningState } from "../../store/meaning/meaning.ts";
import type { StatsReply } from "../../store/stats.ts";
import { clientCommand, jsonText, numberFlag } from "../client-command.ts";
import { bytesText, counted, table } from "../terminal.ts";
import { oneLine } from "../../visible.ts";

const DEFAULT_DAYS = 30;
/** Eight heights, from zero to the maximum. */
const BARS = "▁▂▃▄▅▆▇█";

export const stats = clientCommand({
  name: "stats",
  summary: "counts messages by day, and calls by tool",
  usage: ["dewey stats [--days N] [--json]"],
  examples: ["dewey stats --days 7"],
  flags: { days: { value: "N", summary: `number of days, including today (default ${DEFAULT_DAYS})` } },
  operands: 0,
  async work({ call, out, terminal, json, invocation }) {
    const days = numberFlag({ name: "stats" }, invocation, "days") ?? DEFAULT_DAYS;
    const time_zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;
    const reply = await call<Reply>("dewey_stats", { days, time_zone }, { "--days": "days" });
    if (json) return out.write(jsonText(reply));
    const { paint } = terminal;
    const trash = reply.in_trash > 0 ? ` and ${reply.in_trash} in the trash` : "";
    await out.write(`${counted(reply.conversations, "conversation")}${trash}, ${counted(reply.messages, "message")}, `);
    await out.write(`${bytesText(reply.database_bytes)} on disk\n`);
    if (reply.meaning) await out.write(`${meaningLine(reply.meaning)}\n`);
    const most = Math.max(...reply.days.map((each) => each.messages));
    const [first, last] = [reply.days[0]?.day, reply.days.at(-1)?.day];
    const recent = reply.days.reduce((sum, each) => sum + each.messages, 0);
    await out.write(`\n${sparkline(reply.days.map((each) => each.messages))}\n`);
    await out.write(
      paint(
        "quiet",
        `${first} to ${last}: ${counted(recent, "message")}, at most ${most.toLocaleString("en-US")} a day\n`,
      ),
    );
    if (reply.tools.length === 0) return;
    const rows = reply.tools.map((each) => [
      oneLine(each.tool),
      each.calls.toLocaleString("en-US"),
      each.errors.toLocaleString("en-US"),
      milliseconds(each.p50_ms),
      milliseconds(each.p95_ms),
      "",
    ]);
    await out.write(`\n${table(terminal, ["TOOL", "CALLS", "ERRORS", "P50", "P95", ""], rows)}`);
  },
});

interface Reply extends StatsReply {
  meaning?: Pick<MeaningState, "model" | "queued" | "queued_is_lower_bound" | "passages" | "endpoint">;
}

function meaningLine({ model, passages, endpoint, ...state }: NonNullable<Reply["meaning"]>): string {
  const least = state.queued_is_lower_bound ? "at least " : "";
  const left = state.queued > 0 ? `, ${least}${counted(state.queued, "message")} to go` : "";
  const away = endpoint === "away" ? "; its endpoint is away" : "";
  return `by meaning: ${counted(passages, "passage")} with ${oneLine(model)}${left}${away}`;
}

/** One bar per value; only zero gets the lowest bar. */
function sparkline(values: number[]): string {
  const most = Math.max(1, ...values);
  const height = (value: number) => Math.ceil((value / most) * (BARS.length - 1));
  return values.map((value) => BARS[height(value)]).join("");
}

function milliseconds(value: number | null): string {
  return value === null ? "-" : `${Math.round(value).toLocaleString("en-US")} ms`;
}
