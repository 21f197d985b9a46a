// Times in the zone and language of the person's system.

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const second = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dayOfYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

/** A moment as briefly as its distance allows: the time today, the weekday this week, otherwise the day. */
function brief(time: Date, now = new Date()): string {
  const age = now.getTime() - time.getTime();
  if (age >= 0 && age < MINUTE_MS) return "now";
  if (time.toDateString() === now.toDateString()) return clock.format(time);
  if (age > 0 && age < 6 * DAY_MS) return `${weekday.format(time)} ${clock.format(time)}`;
  return time.getFullYear() === now.getFullYear() ? day.format(time) : dayOfYear.format(time);
}

/** As `brief`, but to the second today. */
function toTheSecond(time: Date): string {
  const today = time.toDateString() === new Date().toDateString();
  return today ? second.format(time) : brief(time);
}

/** A time that a person reads at a glance; the whole of it is its title. */
export function Time({ at, form = "brief" }: { at: string; form?: "brief" | "clock" | "second" }) {
  const time = new Date(at);
  return (
    <time dateTime={at} title={whole.format(time)}>
      {form === "clock" ? clock.format(time) : form === "second" ? toTheSecond(time) : brief(time)}
    </time>
  );
}

/** A duration as people say it: `340 ms`, `2.4 s`, `3 min`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < MINUTE_MS) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.round(ms / MINUTE_MS)} min`;
}

const number = new Intl.NumberFormat();

/** `1,234`. */
export function grouped(count: number): string {
  return number.format(count);
}

/** `1,234 messages`. */
export function counted(count: number, noun: string): string {
  return `${number.format(count)} ${noun}${count === 1 ? "" : "s"}`;
}

const BYTE_UNITS = ["bytes", "kB", "MB", "GB", "TB"];

/** A size as people say it: `12 MB`. */
export function bytes(count: number): string {
  const power = count < 1000 ? 0 : Math.min(BYTE_UNITS.length - 1, Math.floor(Math.log10(count) / 3));
  const value = count / 1000 ** power;
  return `${value < 10 && power > 0 ? value.toFixed(1) : Math.round(value)} ${BYTE_UNITS[power]}`;
}
