import { open } from "node:fs/promises";
import type { FoundFile } from "./files.ts";

/** How much of a file is looked at for the ids by which it belongs together with others. */
const HEAD_BYTES = 64 * 1024;
/** Files in which a client notes the prompts or the titles of all its sessions. */
const HISTORY = /[/\\](?:history\.jsonl|session_index\.jsonl|logs\.json)(?:\.gz|\.zst)?$/;
const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/**
 * Files in stages, which are read one after the other, each in groups that may be read at once. A fork, a resumed session and
 * a sub-agent repeat rows of another file, or name it, in their first rows, and whichever of the two is read first keeps the
 * rows: so files with an id in common are one group, and stay in their order. Histories come last: what they tell counts where
 * no session does.
 */
export async function stagesOf(files: readonly FoundFile[]): Promise<FoundFile[][][]> {
  const stages: FoundFile[][][] = [];
  let sessions: FoundFile[] = [];
  const [histories, others] = [files.filter(isHistory), files.filter((file) => !isHistory(file))];
  for (const file of [...others, undefined, ...histories]) {
    if (file?.path.endsWith(".jsonl") && !isHistory(file)) {
      sessions.push(file);
      continue;
    }
    if (sessions.length > 0) stages.push(await groupsOf(sessions));
    if (file !== undefined) stages.push([[file]]);
    sessions = [];
  }
  return stages;
}

function isHistory({ path }: FoundFile): boolean {
  return HISTORY.test(path);
}

async function groupsOf(files: FoundFile[]): Promise<FoundFile[][]> {
  /** The number of a file above each one in its group; that of the first is its own. */
  const above = files.map((_, index) => index);
  const first = (index: number): number => {
    let top = index;
    while (above[top] !== top) top = above[top] ?? top;
    above[index] = top;
    return top;
  };
  const owners = new Map<string, number>();
  for (const [index, { path }] of files.entries())
    for (const id of await idsIn(path)) {
      const [one, other] = [first(owners.get(id) ?? index), first(index)];
      above[Math.max(one, other)] = Math.min(one, other);
      owners.set(id, index);
    }
  const groups = Map.groupBy(files.entries(), ([index]) => first(index));
  return [...groups.values()].map((group) => group.map(([, file]) => file));
}

/** The ids in a file's name and first rows. A file that cannot be read is told when its turn comes. */
async function idsIn(path: string): Promise<Set<string>> {
  const names = path.match(UUID) ?? [];
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return new Set([...names, ...(buffer.toString("latin1", 0, bytesRead).match(UUID) ?? [])]);
  } catch {
    return new Set(names);
  }
}
