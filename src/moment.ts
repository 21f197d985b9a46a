import { MS_PER_DAY } from "./units.ts";

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

/** The forms that `readMoment` reads, for help and errors. */
export const MOMENT_FORMS = "3d, 2w, 5h, today, yesterday, 2026-01-31 or 2026-01-31T12:00";

/** Where days begin: a person's own midnight, or that of UTC where the reader may be anywhere. */
export type Zone = "local" | "utc";

interface Moment {
  at: Date;
  isDay: boolean;
}

/** The beginning of a period in a person's words: how long ago, a day, or a time. Undefined for anything else. */
export function beginningOf(text: string, now: Date, zone: Zone): Date | undefined {
  return readMoment(text, now, zone)?.at;
}

/** The first moment after a period that ends then; a day includes all of it. */
export function endOf(text: string, now: Date, zone: Zone): Date | undefined {
  const moment = readMoment(text, now, zone);
  if (moment === undefined) return undefined;
  return moment.isDay ? daysLater(moment.at, 1, zone) : new Date(moment.at.getTime() + 1);
}

/** A limit of a period. One that was said by its distance from now moves with the time at which it is asked for. */
export type Bound = Date | { written: string; at(now: Date): Date };

/** The limit that a text says: `beginningOf` or `endOf` it. Undefined when it says none. */
export function boundOf(text: string, read: typeof beginningOf, zone: Zone): Bound | undefined {
  const at = read(text, new Date(), zone);
  if (at === undefined || !isRelative(text)) return at;
  return { written: text, at: (now) => read(text, now, zone) ?? at };
}

export function boundAt(bound: Bound | undefined, now: Date): Date | undefined {
  return bound === undefined || bound instanceof Date ? bound : bound.at(now);
}

/** Whether the text says a time by its distance from now. */
export function isRelative(text: string): boolean {
  return !/^\d{4}-/.test(text.trim());
}

function readMoment(given: string, now: Date, zone: Zone): Moment | undefined {
  const text = given.trim();
  return longAgo(text, now) ?? dayOf(text, now, zone) ?? timeOf(text, zone);
}

function longAgo(text: string, now: Date): Moment | undefined {
  const [, count = "", unit = ""] = /^(\d{1,6}) ?([a-z]{1,3})(?: ago)?$/i.exec(text) ?? [];
  const unitMs = unitsMs[unit.toLowerCase()];
  return unitMs === undefined ? undefined : { at: new Date(now.getTime() - Number(count) * unitMs), isDay: false };
}

function dayOf(text: string, now: Date, zone: Zone): Moment | undefined {
  const daysAgo = { today: 0, yesterday: 1 }[text.toLowerCase()];
  if (daysAgo !== undefined) return { at: daysLater(midnightBefore(now, zone), -daysAgo, zone), isDay: true };
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return undefined;
  const day = new Date(`${text}T00:00:00${zone === "utc" ? "Z" : ""}`);
  // 30 February would become 2 March.
  const month = zone === "utc" ? day.getUTCMonth() : day.getMonth();
  return month === Number(text.slice(5, 7)) - 1 ? { at: day, isDay: true } : undefined;
}

/** A date and time; in the zone when it names none. */
function timeOf(text: string, zone: Zone): Moment | undefined {
  const [, day = "", named] =
    /^(\d{4}-\d{2}-\d{2})[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?$/i.exec(text) ?? [];
  if (day === "" || dayOf(day, new Date(), "utc") === undefined) return undefined;
  const at = new Date(text.replace(" ", "T") + (named === undefined && zone === "utc" ? "Z" : ""));
  return Number.isNaN(at.getTime()) ? undefined : { at, isDay: false };
}

function midnightBefore(time: Date, zone: Zone): Date {
  const midnight = new Date(time);
  if (zone === "utc") midnight.setUTCHours(0, 0, 0, 0);
  else midnight.setHours(0, 0, 0, 0);
  return midnight;
}

/** Days are not always 24 hours long. */
function daysLater(day: Date, days: number, zone: Zone): Date {
  const later = new Date(day);
  if (zone === "utc") later.setUTCDate(later.getUTCDate() + days);
  else later.setDate(later.getDate() + days);
  return later;
}
