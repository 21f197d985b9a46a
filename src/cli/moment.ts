import { DeweyError } from "../errors.ts";
import { MOMENT_FORMS, beginningOf, endOf } from "../moment.ts";
import { MS_PER_DAY } from "../units.ts";

const MS_PER_MINUTE = 60_000;
const MS_PER_HOUR = 60 * MS_PER_MINUTE;

/**
 * The beginning of a period in a person's words, in ISO 8601: how long ago, a day, or a time. Days and times are local ones.
 * Throws `invalid`, which names the flag.
 */
export function sinceMoment(flag: string, text: string, now: Date = new Date()): string {
  return iso(flag, text, beginningOf(text, now, "local"));
}

/** The end of a period, the last moment of it; a day includes all of it. */
export function untilMoment(flag: string, text: string, now: Date = new Date()): string {
  const after = endOf(text, now, "local");
  return iso(flag, text, after && new Date(after.getTime() - 1));
}

function iso(flag: string, given: string, moment: Date | undefined): string {
  if (moment !== undefined) return moment.toISOString();
  const message = `${flag} should be a time such as ${MOMENT_FORMS}, not ${JSON.stringify(given)}`;
  throw new DeweyError("invalid", message, { field: flag });
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
