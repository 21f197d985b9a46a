import { useState } from "preact/hooks";
import { callError } from "./connection.ts";
import type { CallError } from "./connection.ts";
import { call } from "./dewey.ts";
import { useReply } from "./reply.ts";
import type { Changing } from "./reply.ts";
import type { ToolName, Tools } from "./tools.ts";

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
  /** Why the first page could not be read. */
  error: CallError | undefined;
  /** Whether it belongs to earlier arguments. */
  isOld: boolean;
  rest: Rest;
  again(): void;
}

/** What comes after the pages that are here. */
export interface Rest {
  /** Reads the next page; undefined on the last, and while one is read. */
  more: (() => void) | undefined;
  /** Why the next page could not be read; `more` tries again. */
  error: CallError | undefined;
}

/** Later pages by the cursor that they continue from, so that going back finds a list as long as it was. */
const kept = new Map<string, unknown[]>();
const KEPT_LISTS = 10;

/** A tool's first page, and more of them on demand. */
export function usePages<Name extends PagedTool>(
  tool: Name,
  args: Tools[Name]["takes"] | undefined,
  changing?: Changing,
): Paged<Tools[Name]["gives"]> {
  type Reply = Tools[Name]["gives"];
  const first = useReply(tool, args, changing);
  /** Where the page begins that is read; one of an earlier list keeps none of this list from it. */
  const [reading, setReading] = useState<string>();
  const [failed, setFailed] = useState<{ cursor: string; error: CallError }>();
  const start = first.value?.next_cursor;
  const later = start === undefined ? [] : ((kept.get(start) ?? []) as Reply[]);
  const pages = first.value === undefined ? [] : [first.value, ...later];
  const cursor = pages.at(-1)?.next_cursor;
  const read = async (from: string, cursor: string) => {
    setReading(cursor);
    setFailed(undefined);
    try {
      const page = await call(tool, { ...args, cursor });
      kept.delete(from);
      kept.set(from, [...later, page]);
      for (const oldest of kept.keys()) if (kept.size > KEPT_LISTS) kept.delete(oldest);
    } catch (error) {
      setFailed({ cursor, error: callError(error) });
    } finally {
      setReading((last) => (last === cursor ? undefined : last));
    }
  };
  const canRead = start !== undefined && cursor !== undefined && reading !== cursor && !first.isOld;
  return {
    pages,
    error: first.error,
    isOld: first.isOld,
    rest: {
      more: canRead ? () => void read(start, cursor) : undefined,
      error: failed !== undefined && failed.cursor === cursor ? failed.error : undefined,
    },
    again: first.again,
  };
}
