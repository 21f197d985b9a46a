/** A conversation's folder as `folderNeedle` expects it: its beginning marked, and both ends of each name. */
export function folderHaystack(folder: string): string {
  return `|${folder.toLowerCase().replaceAll("\\", "/").replace(/\/$/, "")}/`;
}

/**
 * The text that `folderHaystack` contains for each folder that is the given one or below it: an absolute path, or the last
 * names of one.
 */
export function folderNeedle(folder: string): string {
  const path = folder.toLowerCase().replaceAll("\\", "/").replace(/\/$/, "");
  const isAbsolute = path === "" || /^(?:\/|[a-z]:)/.test(path);
  return `${isAbsolute ? "|" : "/"}${path}/`;
}
