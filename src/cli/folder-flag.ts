import { resolve } from "node:path";

/** The value of --folder: a path that begins with a dot is relative to the working directory; another may be the end of one. */
export function folderFlag(folder: string): string {
  return /^\.\.?(?:[/\\]|$)/.test(folder) ? resolve(folder) : folder;
}
