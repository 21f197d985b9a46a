import { counted } from "./time.tsx";

interface Day {
  /** `2026-11-29` in the person's zone. */
  day: string;
  conversations: number;
  messages: number;
}

/** Units of the drawing, which is stretched to its place. */
const HEIGHT = 100;
/** Share of a day that is left free beside its bar. */
const GAP = 0.28;

const dayAndMonth = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
const wholeDay = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeZone: "UTC" });

/** Sessions by day, as bars. A few hundred rectangles need no library. */
export function DayChart({ days, label }: { days: readonly Day[]; label: string }) {
  const most = Math.max(1, ...days.map(({ conversations }) => conversations));
  const marks = [days[0], days[Math.floor(days.length / 2)], days.at(-1)];
  return (
    <figure class="chart">
      <div class="chart-most numeric quiet" aria-hidden="true">
        {most}
      </div>
      <svg viewBox={`0 0 ${days.length} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
        {days.map(({ day, conversations, messages }, index) => {
          const height = (conversations / most) * HEIGHT;
          return (
            <g key={day} class="chart-day">
              <title>
                {wholeDay.format(new Date(day))}: {counted(conversations, "session")}, {counted(messages, "message")}
              </title>
              <rect class="chart-hit" x={index} y={0} width={1} height={HEIGHT} />
              <rect class="chart-bar" x={index + GAP / 2} y={HEIGHT - height} width={1 - GAP} height={height} />
            </g>
          );
        })}
      </svg>
      <div class="chart-marks numeric quiet" aria-hidden="true">
        {marks.map((mark, index) => (
          <span key={index}>{mark === undefined ? "" : dayAndMonth.format(new Date(mark.day))}</span>
        ))}
      </div>
    </figure>
  );
}
