import { visible } from "../../visible.ts";

/** What a conversation is called. */
export function titleOf({ title }: { title: string | null }): string {
  return title === null ? "Without a title" : visible(title);
}

/** The last part of a folder's path, which people call it by. */
export function folderName(path: string): string {
  return visible(path.split(/[/\\]/).findLast((each) => each !== "") ?? path);
}

/** Periods that views can be narrowed to. */
export const PERIODS = [
  { value: "1", name: "Last 24 hours", days: 1 },
  { value: "7", name: "Last 7 days", days: 7 },
  { value: "30", name: "Last 30 days", days: 30 },
  { value: "365", name: "Last year", days: 365 },
] as const;

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** The beginning of a period that an address names, to the hour, so that asking again is the same question. */
export function periodStart(value: string | null): string | undefined {
  const period = PERIODS.find((each) => each.value === value);
  if (period === undefined) return undefined;
  return new Date(Math.floor((Date.now() - period.days * DAY_MS) / HOUR_MS) * HOUR_MS).toISOString();
}
