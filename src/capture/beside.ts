import { readFileSync, statSync } from "node:fs";
import { reasonOf } from "./files.ts";

/**
 * The files beside a source's own that its reader looks at. One that cannot be read is as if it were missing, and is named: it
 * keeps nothing of the source from being read.
 */
export class Beside {
  /** Everything that was looked for, whether it was there or not. */
  readonly consulted = new Set<string>();
  /** What is there and could not be read, with the reasons. */
  readonly unread = new Map<string, string>();

  isThere(path: string): boolean {
    return this.read(path, () => statSync(path)) !== undefined;
  }

  text(path: string): string | undefined {
    return this.read(path, () => readFileSync(path, "utf8"));
  }

  /** The content of a JSON file; undefined also when it is broken: it may be about to be written. */
  json(path: string): unknown {
    try {
      return JSON.parse(this.text(path) ?? "null") ?? undefined;
    } catch {
      return undefined;
    }
  }

  /** What a file's reading returns; undefined when it is missing or cannot be read. */
  read<Result>(path: string, read: () => Result): Result | undefined {
    this.consulted.add(path);
    try {
      return read();
    } catch (error) {
      if (!isMissing(error)) this.unread.set(path, reasonOf(error));
      return undefined;
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
