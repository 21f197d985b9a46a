/** Where conversations were held. */
export interface Place {
  /** The program, such as codex. Case is ignored. */
  client?: string | undefined;
  /** A folder, with those below it: an absolute path, or the last names of one, such as `dewey`. Case is ignored. */
  folder?: string | undefined;
}

/** A conversation's folder as `folderNeedle` expects it: its beginning marked, and both ends of each name. */
export const FOLDER_HAYSTACK = String.raw`('|' || rtrim(lower(replace(folder, '\', '/')), '/') || '/')`;

/** The text that `FOLDER_HAYSTACK` contains for each conversation in the folder or below it. */
export function folderNeedle(folder: string): string {
  const path = folder.toLowerCase().replaceAll("\\", "/").replace(/\/$/, "");
  const isAbsolute = path === "" || /^(?:\/|[a-z]:)/.test(path);
  return `${isAbsolute ? "|" : "/"}${path}/`;
}
