import { DeweyError } from "../errors.ts";
import { MS_PER_DAY } from "../units.ts";

const MS_PER_MINUTE = 60_000;
const MS_PER_HOUR = 60 * MS_PER_MINUTE;

/** The units of `3d`. */
const unitsMs: Record<string, number> = {
  m: MS_PER_MINUTE,
  min: MS_PER_MINUTE,
  h: MS_PER_HOUR,
  d: MS_PER_DAY,
  w: 7 * MS_PER_DAY,
};

/** The forms that `sinceMoment` and `untilMoment` read, for help and errors. */
export const MOMENT_FORMS = "3d, 2w, 5h, today, yesterday, 2026-01-31 or 2026-01-31T12:00";

/**
 * The beginning of a period in a person's words, in ISO 8601: how long ago, a day, or a time. Days and times are local ones.
 * Throws `invalid`, which names the flag.
 */
export function sinceMoment(flag: string, text: string, now: Date = new Date()): string {
  return iso(parsed(flag, text, now));
}

/** The end of a period; a day includes all of it. */
export function untilMoment(flag: string, text: string, now: Date = new Date()): string {
  const time = parsed(flag, text, now);
  if (!time.isDay) return iso(time);
  const next = new Date(time.at);
  next.setDate(next.getDate() + 1);
  return new Date(next.getTime() - 1).toISOString();
}

interface Moment {
  at: Date;
  isDay: boolean;
}

function parsed(flag: string, given: string, now: Date): Moment {
  const text = given.trim();
  const moment = longAgo(text, now) ?? dayOf(text, now) ?? timeOf(text);
  if (moment !== undefined) return moment;
  throw new DeweyError("invalid", `${flag} should be a time such as ${MOMENT_FORMS}, not ${JSON.stringify(given)}`, {
    field: flag,
  });
}

function longAgo(text: string, now: Date): Moment | undefined {
  const [, count = "", unit = ""] = /^(\d{1,6}) ?([a-z]{1,3})(?: ago)?$/i.exec(text) ?? [];
  const unitMs = unitsMs[unit.toLowerCase()];
  return unitMs === undefined ? undefined : { at: new Date(now.getTime() - Number(count) * unitMs), isDay: false };
}

function dayOf(text: string, now: Date): Moment | undefined {
  const daysAgo = { today: 0, yesterday: 1 }[text.toLowerCase()];
  if (daysAgo !== undefined)
    return { at: new Date(now.getFullYear(), now.getMonth(), now.getDate() - daysAgo), isDay: true };
  const [, year, month, day] = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text) ?? [];
  if (year === undefined) return undefined;
  const at = new Date(Number(year), Number(month) - 1, Number(day));
  // 30 February would become 2 March.
  return at.getDate() === Number(day) && at.getMonth() === Number(month) - 1 ? { at, isDay: true } : undefined;
}

/** A date and time; local without a time zone. */
function timeOf(text: string): Moment | undefined {
  const [, day = ""] =
    /^(\d{4}-\d{2}-\d{2})[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?$/i.exec(text) ?? [];
  if (day === "" || dayOf(day, new Date()) === undefined) return undefined;
  const at = new Date(text.replace(" ", "T"));
  return Number.isNaN(at.getTime()) ? undefined : { at, isDay: false };
}

function iso({ at }: Moment): string {
  return at.toISOString();
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** A time as people say it: `just now`, `5 min ago`, `2 h ago`, `3 d ago`, `12 Nov`, `12 Nov 2024`. */
export function ago(isoTime: string, now: Date = new Date()): string {
  const time = new Date(isoTime);
  const passedMs = now.getTime() - time.getTime();
  if (passedMs >= 0 && passedMs < MS_PER_MINUTE) return "just now";
  if (passedMs >= 0 && passedMs < MS_PER_HOUR) return `${Math.floor(passedMs / MS_PER_MINUTE)} min ago`;
  if (passedMs >= 0 && passedMs < MS_PER_DAY) return `${Math.floor(passedMs / MS_PER_HOUR)} h ago`;
  if (passedMs >= 0 && passedMs < 7 * MS_PER_DAY) return `${Math.floor(passedMs / MS_PER_DAY)} d ago`;
  const day = `${time.getDate()} ${MONTHS[time.getMonth()]}`;
  return time.getFullYear() === now.getFullYear() ? day : `${day} ${time.getFullYear()}`;
}
