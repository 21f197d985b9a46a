import { NAMED } from "./cuts.ts";
import type { Scan } from "./scan.ts";
import { bareEnd, quotedValue } from "./value-bounds.ts";

// All that a Secret of Kubernetes holds is secret, whatever its name: `kind: Secret` says so before or behind it.

/** Distance between a Secret's data and its kind; kubectl writes the data first, and long annotations between. */
const MAX_KIND_DISTANCE = 20_000;
/** A value as short as this tells nothing: `AQ==`. */
const MIN_VALUE_CHARACTERS = 6;
const kinds = /\bkind\\{0,7}["']?:\s{0,4}\\{0,7}["']?Secret\b/g;

/** Cuts the values of `data:` or `stringData:` in a Secret, by the colon behind that name. */
export function secretData(scan: Scan, colon: number): void {
  if (colon < scan.containerEnd) return;
  const { text } = scan;
  scan.secretKinds ??= Array.from(text.matchAll(kinds), ({ index }) => index);
  if (!isNear(scan.secretKinds, colon)) return;
  const open = /^:\s{0,40}\{/.exec(text.slice(colon, colon + 42));
  if (open !== null) return object(scan, colon + open[0].length);
  const line = /^:[ \t]{0,9}\r?\n(?=([ \t]{1,80})\S)/.exec(text.slice(colon, colon + 100));
  if (line?.[1] !== undefined) block(scan, colon + line[0].length, line[1]);
}

/** Whether one of the ascending places is near enough. */
function isNear(places: readonly number[], at: number): boolean {
  let [low, high] = [0, places.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((places[middle] ?? 0) < at - MAX_KIND_DISTANCE) low = middle + 1;
    else high = middle;
  }
  return (places[low] ?? Infinity) < at + MAX_KIND_DISTANCE;
}

/** The fields of JSON: each value behind a colon. */
function object(scan: Scan, from: number): void {
  const { text } = scan;
  let at = from;
  for (let isValue = false; at < text.length && text[at] !== "}"; at++) {
    if (text[at] === ":") isValue = true;
    if (!/^\\{0,7}["']/.test(text.slice(at, at + 8))) continue;
    const value = quotedValue(text, at);
    if (value === undefined) break;
    if (isValue) cut(scan, value.start, value.end);
    isValue = false;
    at = value.end;
    while (text[at] === "\\") at += 1;
  }
  scan.containerEnd = at;
}

/** The lines of YAML that are indented as the first one; what is indented further is a text of several lines. */
function block(scan: Scan, from: number, indent: string): void {
  const { text } = scan;
  let at = from;
  while (at < text.length && text.startsWith(indent, at)) {
    const newline = text.indexOf("\n", at);
    const end = newline === -1 ? text.length : newline;
    const begin = /^(?:[ \t]+|["']?[\w.-]{1,253}["']?:[ \t]*["']?)/.exec(
      text.slice(at + indent.length, Math.min(end, at + indent.length + 300)),
    );
    const start = at + indent.length + (begin?.[0].length ?? 0);
    if (begin !== null && start < end && text[start] !== "|" && text[start] !== ">")
      cut(scan, start, /\s/.test(begin[0][0] ?? "") ? end : Math.min(bareEnd(scan, start), end));
    at = end + 1;
  }
  scan.containerEnd = at;
}

function cut(scan: Scan, start: number, end: number): void {
  if (end - start >= MIN_VALUE_CHARACTERS && !scan.text.startsWith("[redacted", start))
    scan.cuts.add(start, end, NAMED);
}
