/** What codes of the operating system mean, for whoever reads an error. */
const meanings: Record<string, string> = {
  EACCES: "permission is denied",
  EPERM: "permission is denied",
  EROFS: "its disk is mounted read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  ENOENT: "there is no such file or folder",
  ENOTDIR: "a part of its path is no folder",
  EISDIR: "it is a folder",
  ENAMETOOLONG: "its name is too long",
  ELOOP: "its links lead in a circle",
  EMFILE: "this process has too many files open",
  ENFILE: "this machine has too many files open",
  EIO: "the disk failed",
};

/** Why the operating system refused something: `permission is denied (EACCES)`. For other errors, their message. */
export function systemReason(error: unknown): string {
  const code = codeOf(error);
  const meaning = code === undefined ? undefined : meanings[code];
  if (meaning !== undefined) return `${meaning} (${code})`;
  return code ?? (error instanceof Error ? error.message : String(error));
}

/**
 * The refusal of the operating system in one line for a person, with the path that it concerns; undefined for other errors,
 * which are faults of Dewey.
 */
export function systemRefusal(error: unknown): string | undefined {
  const code = codeOf(error);
  if (code === undefined || !(code in meanings)) return undefined;
  const { path } = error as NodeJS.ErrnoException;
  return path === undefined ? systemReason(error) : `${path} cannot be used: ${systemReason(error)}`;
}

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === "string" ? code : undefined;
}
