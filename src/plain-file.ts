import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";

/** Opens a pipe without waiting for somebody who writes into it. */
const READ_WITHOUT_WAITING = constants.O_RDONLY | constants.O_NONBLOCK;

/** A pipe, a device or a folder stands where a file is meant. */
export class NotAFile extends Error {}

/**
 * Opens a file for reading. Throws `NotAFile` for a named pipe, the pipe of a shell's `<(…)`, a device or a folder: reading
 * one may wait for ever, and it cannot be read again later.
 */
export function openPlainFile(path: string): number {
  const descriptor = openSync(path, READ_WITHOUT_WAITING);
  if (fstatSync(descriptor).isFile()) return descriptor;
  closeSync(descriptor);
  throw new NotAFile(`${path} is not a regular file`);
}

/** The text of a file that a setting names. Throws as `openPlainFile` does. */
export function readPlainFile(path: string): string {
  const descriptor = openPlainFile(path);
  try {
    return readFileSync(descriptor, "utf8");
  } finally {
    closeSync(descriptor);
  }
}

/** The value in a file, without the line end that editors add, as it is now; the last one while it cannot be read. */
export function rereading(file: string, first: string, read: (text: string) => string | undefined): () => string {
  let last = first;
  return () => {
    try {
      last = read(readPlainFile(file).replace(/\r?\n$/, "")) || last;
    } catch {
      // It is being replaced.
    }
    return last;
  };
}
