import { useState } from "preact/hooks";
import type { CallError } from "./connection.ts";
import { call } from "./dewey.ts";
import type { ToolName, Tools } from "./dewey.ts";
import { useReply } from "./reply.ts";
import type { Typing } from "./reply.ts";

/** A tool whose replies come in pages. */
type PagedTool = {
  [Name in ToolName]: Tools[Name]["gives"] extends { next_cursor?: string } & ({ total: number } | { calls: unknown[] })
    ? Name
    : never;
}[ToolName];

/** What is known of a list that comes in pages. */
export interface Paged<Reply> {
  /** The first page, and the pages after it that were asked for. */
  pages: Reply[];
  error: CallError | undefined;
  /** Whether it belongs to earlier arguments. */
  isOld: boolean;
  /** Reads the next page; undefined on the last, and while one is read. */
  more: (() => void) | undefined;
  again(): void;
}

/** Later pages by the cursor that they continue from, so that going back finds a list as long as it was. */
const kept = new Map<string, unknown[]>();
const KEPT_LISTS = 10;

/** A tool's first page, and more of them on demand. */
export function usePages<Name extends PagedTool>(
  tool: Name,
  args: Tools[Name]["takes"] | undefined,
  typing?: Typing,
): Paged<Tools[Name]["gives"]> {
  type Reply = Tools[Name]["gives"];
  const first = useReply(tool, args, typing);
  const [isReading, setIsReading] = useState(false);
  const [failed, setFailed] = useState<CallError>();
  const start = first.value?.next_cursor;
  const later = start === undefined ? [] : ((kept.get(start) ?? []) as Reply[]);
  const pages = first.value === undefined ? [] : [first.value, ...later];
  const cursor = pages.at(-1)?.next_cursor;
  const read = async (from: string) => {
    setIsReading(true);
    try {
      const page = await call(tool, { ...args, cursor });
      kept.delete(from);
      kept.set(from, [...later, page]);
      for (const oldest of kept.keys()) if (kept.size > KEPT_LISTS) kept.delete(oldest);
    } catch (error) {
      setFailed(error as CallError);
    } finally {
      setIsReading(false);
    }
  };
  const canRead = start !== undefined && cursor !== undefined && !isReading && !first.isOld;
  return {
    pages,
    error: first.error ?? failed,
    isOld: first.isOld,
    more: canRead ? () => void read(start) : undefined,
    again() {
      setFailed(undefined);
      first.again();
    },
  };
}
