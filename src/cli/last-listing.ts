import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { replaceFile } from "../safe-file.ts";

// The numbers of `dewey list` stand for the conversations that it showed last.

const fileIn = (dataDir: string) => join(dataDir, "last-list.json");

/** Remembers a list's ids. A folder that cannot be written costs only the numbers. */
export function rememberListing(dataDir: string, ids: string[]): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    replaceFile(fileIn(dataDir), `${JSON.stringify(ids)}\n`, 0o600);
  } catch {
    // The next command that names a number says that there is no list.
  }
}

/** The ids of the list that was shown last; empty without one. */
export function lastListing(dataDir: string): string[] {
  try {
    const ids: unknown = JSON.parse(readFileSync(fileIn(dataDir), "utf8"));
    return Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : [];
  } catch {
    return [];
  }
}
