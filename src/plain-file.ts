import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";

/** Opens a pipe without waiting for somebody who writes into it. */
const READ_WITHOUT_WAITING = constants.O_RDONLY | constants.O_NONBLOCK;

/** A pipe, a device or a folder stands where a file is meant. */
export class NotAFile extends Error {}

/**
 * The text of a file that a setting names. Throws `NotAFile` for a named pipe, the pipe of a shell's `<(…)`, or a device:
 * reading one may wait for ever, and it cannot be read again later.
 */
export function readPlainFile(path: string): string {
  const descriptor = openSync(path, READ_WITHOUT_WAITING);
  try {
    if (!fstatSync(descriptor).isFile()) throw new NotAFile(`${path} is not a regular file`);
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
