import type { Call } from "../client/replies.ts";
import { visible } from "../../visible.ts";
import { Time, duration } from "./time.tsx";
import { plainTool } from "./turn-facts.ts";

/** The name of a call in an address: its conversation and the turn of its result. */
export function callName({ conversation_id, turn }: Pick<Call, "conversation_id" | "turn">): string {
  return `${conversation_id}.${turn}`;
}

/** The call of a name in an address; undefined for any other text. */
export function callNamed(name: string | null): { conversation_id: string; turn: number } | undefined {
  const [, conversation_id, turn] = /^([0-9a-f-]{36})\.(\d{1,10})$/.exec(name ?? "") ?? [];
  return conversation_id === undefined ? undefined : { conversation_id, turn: Number(turn) };
}

interface CallTableProps {
  calls: readonly Call[];
  /** Whether bars stand at the time of their calls, as in one session, or all begin at the left. */
  isWaterfall: boolean;
  /** The names of the calls that are shown beside the table. */
  chosen: readonly string[];
  hrefOf(call: Call): string;
}

/** Calls, one a line, with a bar for when and how long each ran. */
export function CallTable({ calls, isWaterfall, chosen, hrefOf }: CallTableProps) {
  const scale = isWaterfall ? waterfallScale(calls) : durationScale(calls);
  return (
    <table class="calls">
      <thead>
        <tr>
          <th scope="col">Began</th>
          <th scope="col">Tool</th>
          <th scope="col" class="calls-where">
            Server
          </th>
          <th scope="col">Outcome</th>
          <th scope="col" class="calls-number">
            Duration
          </th>
          <th scope="col" class="calls-bars">
            {isWaterfall ? "Waterfall" : "Length"}
          </th>
        </tr>
      </thead>
      <tbody>
        {calls.map((call) => {
          const name = callName(call);
          return (
            <tr key={name} data-failed={isFailed(call) || undefined} data-chosen={chosen.includes(name) || undefined}>
              <td class="numeric quiet calls-time">
                <Time at={call.started_at} form="second" />
              </td>
              <td>
                <a
                  class="call-link one-line"
                  href={hrefOf(call)}
                  aria-current={chosen.includes(name) ? "true" : undefined}
                >
                  <bdi title={visible(call.tool)}>{plainTool(call.tool)}</bdi>
                </a>
              </td>
              <td class="calls-where quiet">
                <bdi class="one-line">{visible(call.upstream ?? call.client ?? "")}</bdi>
              </td>
              <td class={isFailed(call) ? "turn-failed" : "quiet"}>{visible(call.outcome)}</td>
              <td class="numeric calls-number">{call.duration_ms === null ? "–" : duration(call.duration_ms)}</td>
              <td class="calls-bars" aria-hidden="true">
                <Bar {...scale(call)} />
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

export function isFailed({ outcome }: Call): boolean {
  return outcome !== "success";
}

interface Place {
  /** Shares of the column. */
  start: number;
  length: number;
}

function Bar({ start, length }: Place) {
  return (
    <span class="calls-track">
      <span class="calls-bar" style={{ insetInlineStart: `${start * 100}%`, width: `${length * 100}%` }} />
    </span>
  );
}

/** The time between two calls that is drawn at most, as a multiple of their own: pauses of people would leave lines. */
const LONGEST_GAP = 0.5;

/** Bars at the times of their calls; longer pauses between them are shortened. */
function waterfallScale(calls: readonly Call[]): (call: Call) => Place {
  const byStart = calls.toSorted((a, b) => Date.parse(a.started_at) - Date.parse(b.started_at));
  const busy = byStart.reduce((sum, { duration_ms }) => sum + (duration_ms ?? 0), 0);
  const most = Math.max(1, (busy * LONGEST_GAP) / Math.max(1, calls.length));
  const starts = new Map<Call, number>();
  let end = Number.NaN;
  let cut = 0;
  for (const call of byStart) {
    const begun = Date.parse(call.started_at);
    if (Number.isNaN(end)) cut = begun;
    else cut += Math.max(0, begun - end - most);
    starts.set(call, begun - cut);
    const ended = begun + (call.duration_ms ?? 0);
    end = Number.isNaN(end) ? ended : Math.max(end, ended);
  }
  const total = Math.max(1, end - cut);
  return (call) => ({ start: (starts.get(call) ?? 0) / total, length: (call.duration_ms ?? 0) / total });
}

/** Durations differ by orders of magnitude; the root leaves the short ones visible. */
function durationScale(calls: readonly Call[]): (call: Call) => Place {
  const longest = Math.max(1, ...calls.map(({ duration_ms }) => duration_ms ?? 0));
  return ({ duration_ms }) => ({ start: 0, length: Math.sqrt((duration_ms ?? 0) / longest) });
}
